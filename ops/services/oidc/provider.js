// An OpenID Connect provider for the tests: `node provider.js PORT [PACKAGES]`.
//
// It is a real one (authorization code with PKCE, discovery, JWKS, user info, revocation, dynamic
// registration) with accounts that need no password: whoever the request's `login_hint` names is signed in
// at once; without a hint a form asks for a name. The account decides what is claimed:
// `ada` is ada@example.org, verified; `unverified-ada` has an address that is not; `nobody` has none;
// `denied` refuses consent. Packages are looked for in the folder PACKAGES, by default beside this file.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const port = Number(process.argv[2]);
const address = process.env.ADDRESS ?? '127.0.0.1';
const packages = process.argv[3] ?? dirname(fileURLToPath(import.meta.url));
const entry = createRequire(join(packages, 'package.json')).resolve('oidc-provider');
const { default: Provider } = await import(pathToFileURL(entry));

const BODY_BYTES_MAX = 16 * 1024;
const ISSUER = process.env.ISSUER ?? `http://127.0.0.1:${port}`;

const claims = (id) => {
  const name = id.charAt(0).toUpperCase() + id.slice(1);
  if (id === 'nobody') return { sub: id, name };
  const email = id.includes('@') ? id : `${id}@example.org`;
  return { sub: id, name, email, email_verified: !id.startsWith('unverified-') };
};

// A key of this run: a client that kept one of an earlier run must fetch the set again.
function signingKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig', kid: randomBytes(8).toString('hex') };
}

const provider = new Provider(ISSUER, {
  clients: [
    {
      client_id: 'troupe',
      client_secret: 'troupe-secret',
      // A native client may come back to any port of the loopback address (RFC 8252, 7.3).
      application_type: 'native',
      redirect_uris: ['http://127.0.0.1/callback', 'http://127.0.0.1/v1/auth/oidc/callback'],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'client_secret_basic',
    },
  ],
  claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'] },
  // Claims in the ID token too, as the large providers have it.
  conformIdTokenClaims: false,
  cookies: { keys: [randomBytes(16).toString('hex')] },
  jwks: { keys: [signingKey()] },
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: true },
    revocation: { enabled: true },
    rpInitiatedLogout: { enabled: true },
  },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => ({ accountId: id, claims: () => claims(id) }),
  pkce: { required: () => true },
  ttl: {
    AccessToken: 600, AuthorizationCode: 60, Grant: 3600, IdToken: 600, Interaction: 600, Session: 3600,
  },
});

provider.on('server_error', (_, error) => console.error(error));

const form = (uid) => `<!doctype html><title>Sign in</title>
<form method="post" action="/interaction/${encodeURIComponent(uid)}">
<label>Account <input name="account" autofocus required></label> <button>Sign in</button></form>`;

// The fields of a posted form.
const posted = async (request) => {
  let text = '';
  for await (const chunk of request) {
    text += chunk;
    if (text.length > BODY_BYTES_MAX) throw new Error('the form is too long');
  }
  return new URLSearchParams(text);
};

// Everything that the client asks for is granted.
const consent = async ({ params, session, prompt, grantId }) => {
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  const { missingOIDCScope, missingOIDCClaims } = prompt.details;
  if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '));
  if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims);
  return { consent: { grantId: await grant.save() } };
};

const interact = async (request, response) => {
  const details = await provider.interactionDetails(request, response);
  if (details.prompt.name === 'consent') {
    const refused = details.session.accountId === 'denied';
    const result = refused
      ? { error: 'access_denied', error_description: 'the account refuses' }
      : await consent(details);
    return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
  }
  const account = request.method === 'POST' ? (await posted(request)).get('account') : details.params.login_hint;
  if (account) {
    return provider.interactionFinished(request, response, { login: { accountId: account } });
  }
  response.setHeader('content-type', 'text/html; charset=utf-8');
  return response.end(form(details.uid));
};

const serve = provider.callback();
const server = createServer((request, response) => {
  if (!request.url.startsWith('/interaction/')) return serve(request, response);
  return interact(request, response).catch((error) => {
    response.statusCode = 400;
    response.end(`${error.message}\n`);
  });
});
server.listen(port, address);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
