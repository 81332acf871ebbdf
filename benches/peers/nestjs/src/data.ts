import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Item {
  id: string;
  tenant: string;
  title: string;
  body: string;
  tags: string[];
  author: string;
  version: number;
  created_at: string;
}

/** What the bench's directory holds: keys by kid as PEM, permissions by subject, items by id. */
export class Data {
  constructor(
    readonly keys: Map<string, string>,
    readonly permissions: Map<string, Set<string>>,
    readonly items: Map<string, Item>,
  ) {}
}

export function readData(directory: string): Data {
  const read = (name: string) => JSON.parse(readFileSync(join(directory, name), 'utf8'));
  const pem = (jwk: JsonWebKey) =>
    createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' }).toString();
  const keys: (JsonWebKey & { kid: string })[] = read('jwks.json').keys;
  const permissions: Record<string, string[]> = read('permissions.json');
  const items: Item[] = read('items.json');
  return new Data(
    new Map(keys.map((jwk) => [jwk.kid, pem(jwk)])),
    new Map(Object.entries(permissions).map(([subject, names]) => [subject, new Set(names)])),
    new Map(items.map((item) => [item.id, item])),
  );
}
