import {
  type CanActivate, type ExecutionContext, HttpException, HttpStatus, Injectable,
} from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';

const WINDOW_MS = 60_000;

/** What one subject may send in a minute. */
export class Quota {
  constructor(readonly perMinute: number) {}
}

/** Token buckets (as GCRA), one for each of the keys used last. */
class Buckets {
  /** When the bucket of a key will be full again. */
  private readonly full = new LRUCache<string, number>({ max: 65_536 });
  private readonly interval: number;

  constructor(perMinute: number) {
    this.interval = WINDOW_MS / perMinute;
  }

  take(key: string) {
    const now = performance.now();
    const full = Math.max(this.full.get(key) ?? 0, now);
    const left = now + WINDOW_MS - full;
    const allowed = left >= this.interval;
    const next = allowed ? full + this.interval : full;
    if (allowed) this.full.set(key, next);
    return {
      allowed,
      remaining: Math.floor((now + WINDOW_MS - next) / this.interval),
      resetSeconds: Math.ceil((next - now) / 1000),
      retrySeconds: allowed ? 0 : Math.ceil((this.interval - left) / 1000),
    };
  }
}

function refuse(reply: FastifyReply, retrySeconds: number): never {
  reply.header('retry-after', retrySeconds);
  throw new HttpException('Too Many Requests', HttpStatus.TOO_MANY_REQUESTS);
}

/** Bounds what one network address sends. */
@Injectable()
export class AddressLimitGuard implements CanActivate {
  private readonly addresses = new Buckets(1_000_000_000);

  canActivate(context: ExecutionContext): boolean {
    const http = context.switchToHttp();
    const { allowed, retrySeconds } = this.addresses.take(http.getRequest<FastifyRequest>().ip);
    if (!allowed) refuse(http.getResponse(), retrySeconds);
    return true;
  }
}

/** Bounds what one subject sends, and reports how much is left. */
@Injectable()
export class SubjectLimitGuard implements CanActivate {
  private readonly subjects: Buckets;
  private readonly policy: string;

  constructor(quota: Quota) {
    this.subjects = new Buckets(quota.perMinute);
    this.policy = `"subject";q=${quota.perMinute};w=60`;
  }

  canActivate(context: ExecutionContext): boolean {
    const http = context.switchToHttp();
    const reply = http.getResponse<FastifyReply>();
    const taken = this.subjects.take(http.getRequest<FastifyRequest>().subject);
    reply.header('ratelimit-policy', this.policy);
    reply.header('ratelimit', `"subject";r=${taken.remaining};t=${taken.resetSeconds}`);
    if (!taken.allowed) refuse(reply, taken.retrySeconds);
    return true;
  }
}
