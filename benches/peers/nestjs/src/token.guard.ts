import {
  type CanActivate, type ExecutionContext, Injectable, UnauthorizedException,
} from '@nestjs/common';
import { createVerifier, type DecodedJwt } from 'fast-jwt';
import type { FastifyRequest } from 'fastify';
import { Data } from './data.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose token the request bears. */
    subject: string;
  }
}

/** Verifies the bearer token, or finds it among the verified ones. */
@Injectable()
export class TokenGuard implements CanActivate {
  private readonly verify: (token: string) => Promise<{ sub: string }>;

  constructor(data: Data) {
    this.verify = createVerifier({
      key: async ({ header }: DecodedJwt) => {
        const key = data.keys.get(header.kid);
        if (!key) throw new Error('unknown key');
        return key;
      },
      algorithms: ['EdDSA'],
      allowedIss: 'https://bench.invalid',
      requiredClaims: ['exp'],
      cache: 65_536,
      cacheTTL: 60_000,
      cacheKeyBuilder: (token: string) => token,
    });
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const { authorization } = request.headers;
    if (!authorization?.startsWith('Bearer ')) throw new UnauthorizedException();
    try {
      request.subject = (await this.verify(authorization.slice('Bearer '.length))).sub;
    } catch {
      throw new UnauthorizedException();
    }
    return true;
  }
}
