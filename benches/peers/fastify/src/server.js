// The bench's job on Fastify: `server.js ADDRESS DIRECTORY`.
import { STATUS_CODES } from 'node:http';
import Fastify from 'fastify';
import { register } from 'prom-client';
import { v7 as uuidv7 } from 'uuid';
import { readData } from './data.js';
import { limitAddress, limitSubject } from './limits.js';
import { countResponse } from './metrics.js';
import { authenticate, permit } from './tokens.js';
import { childOf } from './trace.js';

const item = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    tenant: { type: 'string' },
    title: { type: 'string' },
    body: { type: 'string' },
    tags: { type: 'array', items: { type: 'string' } },
    author: { type: 'string' },
    version: { type: 'integer' },
    created_at: { type: 'string' },
  },
};

const [address, directory] = process.argv.slice(2);
const data = readData(directory);
const quota = Number(process.env.BENCH_QUOTA ?? 1_000_000_000);

const app = Fastify({
  logger: false,
  genReqId: () => uuidv7(),
  requestTimeout: 30_000,
  handlerTimeout: 30_000,
  forceCloseConnections: true,
});

app.decorateRequest('subject', '');
// Ends the request with a problem document (RFC 9457).
app.decorateReply('refuse', function (status) {
  return this.code(status)
    .type('application/problem+json')
    .send({ title: STATUS_CODES[status], status });
});
app.setErrorHandler((error, request, reply) => reply.refuse(error.statusCode ?? 500));

app.addHook('onRequest', async (request, reply) => {
  reply.headers({
    'x-request-id': request.id,
    traceparent: childOf(request.headers.traceparent),
    'cache-control': 'private, no-cache',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  });
});
app.addHook('onRequest', limitAddress());
app.addHook('onResponse', countResponse);

app.get('/health', async (request, reply) => reply.send());
app.get('/metrics', async (request, reply) =>
  reply.type(register.contentType).send(await register.metrics()));
app.get('/items/:id', {
  schema: { response: { 200: item } },
  onRequest: [
    authenticate(data.keys),
    permit(data.permissions, 'items.read'),
    limitSubject(quota),
  ],
}, async (request, reply) => {
  const found = data.items.get(request.params.id);
  if (!found) return reply.refuse(404);
  reply.header('etag', `"${found.version}"`);
  return found;
});

process.on('SIGTERM', () => app.close());
const colon = address.lastIndexOf(':');
await app.listen({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)) });
console.log(`ready ${address}`);
