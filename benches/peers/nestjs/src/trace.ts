import { randomBytes } from 'node:crypto';

const TRACEPARENT = /^00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})$/;

/** A new span of the caller's trace, or of a new one (W3C Trace Context). */
export function childOf(parent: string | string[] | undefined): string {
  const [, trace, flags] = TRACEPARENT.exec(String(parent ?? '')) ?? [];
  const random = randomBytes(24).toString('hex');
  return `00-${trace ?? random.slice(16)}-${random.slice(0, 16)}-${flags ?? '01'}`;
}
