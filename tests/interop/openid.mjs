// Two relying-party libraries as a web site uses them: a person signs in by way of the server, and signs out again. The second binds its tokens to a
// key, and asks about a tool server's token in that server's name.
//
//   node openid.mjs '{"issuer":"…","port":8400,"client_id":"…","client_secret":"…","resource":"…","resource_server":{"client_id":"…","client_secret":"…"}}'
//
// Registered for it: the redirect URI http://127.0.0.1/callback and, at the port, the post-logout one, http://127.0.0.1:8400/bye.
// Writes one JSON object a line: what happened, and {"event":"browse","url":"…"} when a browser has to go there. Ends with code 0.
import { createServer } from 'node:http';
import { once } from 'node:events';
import * as openid from 'openid-client';
import * as oauth from 'oauth4webapi';

const { issuer, port, client_id, client_secret, resource, resource_server } = JSON.parse(process.argv[2]);
const server = new URL(issuer);
const scope = 'openid profile email';
const here = `http://127.0.0.1:${port}`;
const redirect_uri = `${here}/callback`;
const post_logout_redirect_uri = `${here}/bye`;

let library;
const say = (event, more = {}) => console.log(JSON.stringify({ event, library, ...more }));
const limit = setTimeout(() => { say('timeout'); process.exit(3); }, 150_000);

// Where the browser comes back to, after signing in and after signing out.
const arrivals = [];
const site = createServer((request, response) => {
  const url = new URL(request.url, here);
  if (!['/callback', '/bye'].includes(url.pathname)) return response.writeHead(404).end();
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<!doctype html><html lang=en><link rel=icon href=data:,><title>Done</title><p>You can close this window.');
  arrivals.push(url);
  site.emit('arrival');
}).listen(port, '127.0.0.1');
await once(site, 'listening');

/** Sends the browser somewhere; where it arrived. */
async function browse(url) {
  say('browse', { url: url.href });
  while (arrivals.length === 0) await once(site, 'arrival');
  return arrivals.shift();
}

function told({ sub, name, email, nonce, auth_time, acr }) {
  return { sub, name, email, nonce: nonce !== undefined, auth_time: typeof auth_time === 'number', acr };
}

async function bye(url, state) {
  const arrived = await browse(url);
  say('signed out', { path: arrived.pathname, state: arrived.searchParams.get('state') === state });
}

// 1. openid-client: what most sites use.
library = 'openid-client';
{
  const config = await openid.discovery(server, client_id, client_secret, openid.ClientSecretBasic(client_secret), { execute: [openid.allowInsecureRequests] });
  // Otherwise it trusts the connection that brought the ID token.
  openid.enableNonRepudiationChecks(config);
  say('discovered', { issuer: config.serverMetadata().issuer, alg: config.serverMetadata().id_token_signing_alg_values_supported });

  const pkceCodeVerifier = openid.randomPKCECodeVerifier();
  const [expectedState, expectedNonce] = [openid.randomState(), openid.randomNonce()];
  const answer = await browse(openid.buildAuthorizationUrl(config, {
    redirect_uri, scope, state: expectedState, nonce: expectedNonce, code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256',
  }));
  const tokens = await openid.authorizationCodeGrant(config, answer, { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true, maxAge: 3600 });
  say('tokens', { type: tokens.token_type, scope: tokens.scope, refreshable: Boolean(tokens.refresh_token), ...told(tokens.claims()) });
  say('userinfo', await openid.fetchUserInfo(config, tokens.access_token, tokens.claims().sub));

  const state = openid.randomState();
  await bye(openid.buildEndSessionUrl(config, { post_logout_redirect_uri, id_token_hint: tokens.id_token, state }), state);
}

// 2. oauth4webapi: every step by itself.
library = 'oauth4webapi';
{
  const insecure = { [oauth.allowInsecureRequests]: true };
  const as = await oauth.processDiscoveryResponse(server, await oauth.discoveryRequest(server, { algorithm: 'oidc', ...insecure }));
  say('discovered', { issuer: as.issuer, alg: as.id_token_signing_alg_values_supported });
  const [client, authentication] = [{ client_id }, oauth.ClientSecretBasic(client_secret)];
  const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));

  async function signIn(more) {
    const [verifier, state, nonce] = [oauth.generateRandomCodeVerifier(), oauth.generateRandomState(), oauth.generateRandomNonce()];
    const url = new URL(as.authorization_endpoint);
    url.search = new URLSearchParams({
      response_type: 'code', client_id, redirect_uri, scope, state, nonce, code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...more,
    });
    const answer = oauth.validateAuthResponse(as, client, await browse(url), state);
    const response = await oauth.authorizationCodeGrantRequest(as, client, authentication, answer, redirect_uri, verifier, { DPoP, ...insecure });
    const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, { expectedNonce: nonce, requireIdToken: true });
    await oauth.validateApplicationLevelSignature(as, response, insecure);
    const claims = oauth.getValidatedIdTokenClaims(tokens);
    say('tokens', { type: tokens.token_type, scope: tokens.scope, refreshable: Boolean(tokens.refresh_token), ...told(claims) });
    return { tokens, claims };
  }

  const { tokens, claims } = await signIn();
  say('userinfo', await oauth.processUserInfoResponse(as, client, claims.sub, await oauth.userInfoRequest(as, client, tokens.access_token, { DPoP, ...insecure })));

  // The same person, and access to a tool server with it; that server has no guard, and asks in its own name.
  const access = await signIn({ resource });
  const asker = { client_id: resource_server.client_id };
  const question = await oauth.introspectionRequest(
    as, asker, oauth.ClientSecretBasic(resource_server.client_secret), access.tokens.access_token, { requestJwtResponse: true, ...insecure });
  const signed = question.headers.get('content-type');
  const about = await oauth.processIntrospectionResponse(as, asker, question);
  await oauth.validateApplicationLevelSignature(as, question, insecure);
  say('introspected', { signed, active: about.active, aud: about.aud, scope: about.scope, sub: about.sub });
  // And what it would do without asking (RFC 9068 §4): the ID token is no access token, the access token is.
  const presented = token => new Request(resource, { headers: { authorization: `Bearer ${token}` } });
  await oauth.validateJwtAccessToken(as, presented(access.tokens.id_token), resource, insecure).then(() => say('mistaken'), error => say('refused', { code: error.code }));

  const state = oauth.generateRandomState();
  const url = new URL(as.end_session_endpoint);
  url.search = new URLSearchParams({ post_logout_redirect_uri, id_token_hint: access.tokens.id_token, state });
  await bye(url, state);
}

site.close();
site.closeAllConnections?.();
clearTimeout(limit);
library = undefined;
say('done');
