import { createVerifier } from 'fast-jwt';

/** A hook that verifies the bearer token, or finds it among the verified ones. */
export function authenticate(keys) {
  const verify = createVerifier({
    key: async ({ header }) => {
      const key = keys.get(header.kid);
      if (!key) throw new Error('unknown key');
      return key;
    },
    algorithms: ['EdDSA'],
    allowedIss: 'https://bench.invalid',
    requiredClaims: ['exp'],
    cache: 65_536,
    cacheTTL: 60_000,
    cacheKeyBuilder: (token) => token,
  });
  return async (request, reply) => {
    const { authorization } = request.headers;
    if (!authorization?.startsWith('Bearer ')) return reply.refuse(401);
    try {
      request.subject = (await verify(authorization.slice('Bearer '.length))).sub;
    } catch {
      return reply.refuse(401);
    }
  };
}

/** A hook that asks for a permission. */
export function permit(permissions, permission) {
  return async (request, reply) => {
    if (!permissions.get(request.subject)?.has(permission)) return reply.refuse(403);
  };
}
