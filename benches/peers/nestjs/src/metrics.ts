import type { FastifyReply, FastifyRequest } from 'fastify';
import { Counter, Histogram } from 'prom-client';

const requests = new Counter({
  name: 'http_requests_total',
  help: 'Answered requests.',
  labelNames: ['route', 'status'],
});
const durations = new Histogram({
  name: 'http_request_duration_seconds',
  help: 'Time to answer a request.',
  labelNames: ['route'],
});

/** A hook that counts an answer. */
export async function countResponse(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const route = request.routeOptions.url ?? 'none';
  requests.inc({ route, status: reply.statusCode });
  durations.observe({ route }, reply.elapsedTime / 1000);
}
