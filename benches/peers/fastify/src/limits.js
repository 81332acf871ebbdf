import { LRUCache } from 'lru-cache';

const WINDOW_MS = 60_000;

/** Token buckets (as GCRA), one for each of the keys used last. */
class Buckets {
  // When the bucket of a key will be full again.
  #full = new LRUCache({ max: 65_536 });

  constructor(perMinute) {
    this.interval = WINDOW_MS / perMinute;
  }

  take(key) {
    const now = performance.now();
    const full = Math.max(this.#full.get(key) ?? 0, now);
    const left = now + WINDOW_MS - full;
    const allowed = left >= this.interval;
    const next = allowed ? full + this.interval : full;
    if (allowed) this.#full.set(key, next);
    return {
      allowed,
      remaining: Math.floor((now + WINDOW_MS - next) / this.interval),
      resetSeconds: Math.ceil((next - now) / 1000),
      retrySeconds: allowed ? 0 : Math.ceil((this.interval - left) / 1000),
    };
  }
}

/** A hook that bounds what one network address sends. */
export function limitAddress() {
  const addresses = new Buckets(1_000_000_000);
  return async (request, reply) => {
    const { allowed, retrySeconds } = addresses.take(request.ip);
    if (!allowed) return reply.header('retry-after', retrySeconds).refuse(429);
  };
}

/** A hook that bounds what one subject sends, and reports how much is left. */
export function limitSubject(quota) {
  const subjects = new Buckets(quota);
  const policy = `"subject";q=${quota};w=60`;
  return async (request, reply) => {
    const { allowed, remaining, resetSeconds, retrySeconds } = subjects.take(request.subject);
    reply.header('ratelimit-policy', policy);
    reply.header('ratelimit', `"subject";r=${remaining};t=${resetSeconds}`);
    if (!allowed) return reply.header('retry-after', retrySeconds).refuse(429);
  };
}
