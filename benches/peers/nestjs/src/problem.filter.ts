import { STATUS_CODES } from 'node:http';
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import type { FastifyReply } from 'fastify';

/** Answers a refusal with a problem document (RFC 9457). */
@Catch(HttpException)
export class ProblemFilter implements ExceptionFilter<HttpException> {
  catch(exception: HttpException, host: ArgumentsHost): void {
    const status = exception.getStatus();
    host.switchToHttp().getResponse<FastifyReply>()
      .code(status)
      .type('application/problem+json')
      .send({ title: STATUS_CODES[status], status });
  }
}
