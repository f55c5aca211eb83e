// An OpenID provider for tests: the npm package does the protocol; this file only gives it keys and a client.
// Prints one line of JSON when it listens: {"issuer", "control"}. The control address takes:
//   POST /rotate {"alg","keep"}   a new signing key; with `keep` the old public keys stay published
//   POST /sign {"header","claims"}   a token of these claims, signed with the current key
//   POST /sign-text {"claims"}   the same of a text, which may be no good JSON
//   POST /outage {"down"}   whether the published keys answer 503
//   GET /state   {"kid","alg","pem","keys_requests"}
import { createServer } from 'node:http';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';
import { CompactSign, SignJWT, importJWK } from 'jose';

const CLIENT = { client_id: 'checkout', client_secret: 'a-secret-of-tests-only', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };
const SCOPE = 'invoke';
const SECONDS = 300;

const state = { keys: [], provider: null, serial: 0, keysRequests: 0, down: false };

function newKey(alg) {
  const pair = alg === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('rsa', { modulusLength: 2048 });
  state.serial += 1;
  return { ...pair.privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: `key-${state.serial}` };
}

function provider(issuer) {
  const [current] = state.keys;
  const made = new Provider(issuer, {
    clients: [{ ...CLIENT, id_token_signed_response_alg: current.alg }],
    jwks: { keys: state.keys },
    scopes: [SCOPE],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'https://gateway.example',
        useGrantedResource: () => true,
        getResourceServerInfo: (_context, resource) => ({
          scope: SCOPE, audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: SECONDS, jwt: { sign: { alg: current.alg, kid: current.kid } },
        }),
      },
    },
  });
  return made.callback();
}

function rotate(issuer, { alg = 'RS256', keep = true }) {
  state.keys = [newKey(alg), ...(keep ? state.keys : [])];
  state.provider = provider(issuer);
  return { kid: state.keys[0].kid };
}

async function sign({ header = {}, claims }) {
  const [key] = state.keys;
  const protectedHeader = { alg: key.alg, kid: key.kid, typ: 'at+jwt', ...header };
  return { token: await new SignJWT(claims).setProtectedHeader(protectedHeader).sign(await importJWK(key, key.alg)) };
}

async function signText({ claims }) {
  const [key] = state.keys;
  const signer = new CompactSign(new TextEncoder().encode(claims)).setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'at+jwt' });
  return { token: await signer.sign(await importJWK(key, key.alg)) };
}

function pem() {
  return createPublicKey({ key: state.keys[0], format: 'jwk' }).export({ type: 'spki', format: 'pem' });
}

function listen(handler) {
  return new Promise((resolve) => {
    const server = createServer(handler);
    server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${server.address().port}`));
  });
}

async function body(request) {
  let text = '';
  for await (const piece of request) text += piece;
  return text === '' ? {} : JSON.parse(text);
}

const issuer = await listen((request, response) => {
  if (new URL(request.url, 'http://x').pathname === '/jwks') {
    state.keysRequests += 1;
    if (state.down) return response.writeHead(503).end();
  }
  return state.provider(request, response);
});
rotate(issuer, { alg: 'RS256' });

const control = await listen(async (request, response) => {
  try {
    const asked = await body(request);
    const answer = {
      '/rotate': () => rotate(issuer, asked),
      '/sign': () => sign(asked),
      '/sign-text': () => signText(asked),
      '/outage': () => { state.down = asked.down; return {}; },
      '/state': () => ({ kid: state.keys[0].kid, alg: state.keys[0].alg, pem: pem(), keys_requests: state.keysRequests }),
    }[request.url];
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(await answer()));
  } catch (error) {
    response.writeHead(500).end(JSON.stringify({ error: String(error) }));
  }
});

console.log(JSON.stringify({ issuer, control }));
