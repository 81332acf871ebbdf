import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Reads the bench's directory: keys by kid as PEM, permissions by subject, items by id. */
export function readData(directory) {
  const read = (name) => JSON.parse(readFileSync(join(directory, name), 'utf8'));
  const pem = (jwk) =>
    createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
  return {
    keys: new Map(read('jwks.json').keys.map((jwk) => [jwk.kid, pem(jwk)])),
    permissions: new Map(
      Object.entries(read('permissions.json')).map(([subject, names]) => [subject, new Set(names)]),
    ),
    items: new Map(read('items.json').map((item) => [item.id, item])),
  };
}
