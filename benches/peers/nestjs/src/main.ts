// The bench's job on NestJS: `main.js ADDRESS DIRECTORY`.
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { v7 as uuidv7 } from 'uuid';
import { AppModule } from './app.module.js';
import { readData } from './data.js';
import { countResponse } from './metrics.js';
import { ProblemFilter } from './problem.filter.js';
import { childOf } from './trace.js';

const [address, directory] = process.argv.slice(2);
const quota = Number(process.env.BENCH_QUOTA ?? 1_000_000_000);

const adapter = new FastifyAdapter({
  genReqId: () => uuidv7(),
  requestTimeout: 30_000,
  handlerTimeout: 30_000,
  forceCloseConnections: true,
});
const fastify = adapter.getInstance();
fastify.decorateRequest('subject', '');
fastify.addHook('onRequest', async (request, reply) => {
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
fastify.addHook('onResponse', countResponse);

const app = await NestFactory.create<NestFastifyApplication>(
  AppModule.of(readData(directory), quota),
  adapter,
  { logger: ['error', 'warn'] },
);
app.useGlobalFilters(new ProblemFilter());
app.enableShutdownHooks(['SIGTERM']);
const colon = address.lastIndexOf(':');
await app.listen(Number(address.slice(colon + 1)), address.slice(0, colon));
console.log(`ready ${address}`);
