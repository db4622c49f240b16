// openid-client, the library that most sites and tools for Node.js stand on, as a program, a device, a service and an agent would use it. The same plan and
// the same steps as oauth4webapi.mjs; nonces it brings by itself.
import * as openid from 'openid-client';
import { loopback, plan, say } from './loopback.mjs';

const { issuer, resource, program, agent, service, introspector, tool, arguments: values, done } = plan();
const plain = { execute: [openid.allowInsecureRequests] };
const callback = await loopback();

/** The call of a tool at the tool server, by a token. */
async function call(config, token, DPoP) {
  const body = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool, arguments: values } };
  const headers = new Headers({ 'content-type': 'application/json', accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2025-11-25' });
  const response = await openid.fetchProtectedResource(config, token, new URL(resource), 'POST', JSON.stringify(body), headers, { DPoP });
  const text = await response.text();
  say('call', { status: response.status, ran: text.includes('"content"') && !text.includes('"isError":true') });
}

// 1. Discovery, both ways; the library compares the issuer.
const config = await openid.discovery(new URL(issuer), program, { token_endpoint_auth_method: 'none' }, openid.None(), { ...plain, algorithm: 'oauth2' });
const oidc = await openid.discovery(new URL(issuer), program, undefined, openid.None(), { ...plain, algorithm: 'oidc' });
say('discovery', { same: JSON.stringify(config.serverMetadata()) === JSON.stringify(oidc.serverMetadata()) });

// 2. A program: pushed request, person, code, token, all bound to one key.
const key = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256'));
const pkceCodeVerifier = openid.randomPKCECodeVerifier();
const expectedState = openid.randomState();
const address = await openid.buildAuthorizationUrlWithPAR(config, {
  redirect_uri: callback.redirectUri, scope: 'tools:read offline_access', resource, state: expectedState, code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: 'S256',
}, { DPoP: key });
say('pushed', { pushed: address.searchParams.has('request_uri') });
say('authorize', { url: address.href });
const first = await openid.authorizationCodeGrant(config, await callback.next(), { pkceCodeVerifier, expectedState }, undefined, { DPoP: key });
say('tokens', { type: first.token_type, scope: first.scope, refreshable: Boolean(first.refresh_token) });
await call(config, first.access_token, key);

// 3. Renewal, with the same key.
const second = await openid.refreshTokenGrant(config, first.refresh_token, undefined, { DPoP: key });
say('renewed', { type: second.token_type, rotated: second.refresh_token !== first.refresh_token });
await call(config, second.access_token, key);

// 4. Introspection by the tool server's own client, in the clear and signed.
for (const signed of [false, true]) {
  const server = await openid.discovery(
    new URL(issuer), introspector.client_id, signed ? { introspection_signed_response_alg: 'ES256' } : undefined, openid.ClientSecretBasic(introspector.secret), { ...plain, algorithm: 'oauth2' });
  const told = await openid.tokenIntrospection(server, second.access_token);
  say('introspected', { signed, active: told.active, client_id: told.client_id });
}

// 5. Revocation: afterwards there is nothing to renew.
await openid.tokenRevocation(config, second.refresh_token);
try {
  await openid.refreshTokenGrant(config, second.refresh_token, undefined, { DPoP: key });
  throw new Error('A revoked refresh token was taken.');
} catch (error) {
  if (!(error instanceof openid.ResponseBodyError)) throw error;
  say('revoked', { error: error.error });
}

// 6. A device.
const begun = await openid.initiateDeviceAuthorization(config, { resource, scope: 'tools:read' });
say('device', { url: begun.verification_uri_complete });
const device = await openid.pollDeviceAuthorizationGrant(config, begun);
say('device-tokens', { type: device.token_type });
await call(config, device.access_token);

// 7. A service for itself.
const machine = await openid.discovery(new URL(issuer), service.client_id, undefined, openid.ClientSecretBasic(service.secret), { ...plain, algorithm: 'oauth2' });
const own = await openid.clientCredentialsGrant(machine, { resource });
say('own', { type: own.token_type });
await call(machine, own.access_token);

// 8. An agent: attested, then an exchange for a task of its own. Attestation is asked for as a token is, at an address of its own.
const evidence = await crypto.subtle.importKey('pkcs8', Buffer.from(agent.key, 'base64'), { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
const software = await openid.discovery(new URL(issuer), agent.client_id, undefined, openid.PrivateKeyJwt(evidence), { ...plain, algorithm: 'oauth2' });
const attesting = new openid.Configuration({ ...software.serverMetadata(), token_endpoint: `${issuer}/agents/instances` }, agent.client_id, undefined, openid.PrivateKeyJwt(evidence));
openid.allowInsecureRequests(attesting);
// Something is made there, so it answers 201, which a token endpoint would not.
attesting[openid.customFetch] = async (...request) => {
  const created = await fetch(...request);
  return created.status === 201 ? new Response(await created.text(), { headers: created.headers }) : created;
};
const keys = await openid.randomDPoPKeyPair('ES256');
const attested = await openid.genericGrantRequest(attesting, 'client_credentials', {}, { DPoP: openid.getDPoPHandle(attesting, keys) });
say('attested', { type: attested.token_type });
const type = 'urn:ietf:params:oauth:token-type:access_token';
const instance = openid.getDPoPHandle(software, keys);
const exchanged = await openid.genericGrantRequest(software, 'urn:ietf:params:oauth:grant-type:token-exchange', {
  subject_token: attested.access_token, subject_token_type: type, resource,
  authorization_details: JSON.stringify([{ type: 'mcp_tool_call', locations: [resource], actions: ['tools/call'], tools: { [tool]: {} }, task: { purpose: 'read a report' } }]),
}, { DPoP: instance });
say('exchanged', { type: exchanged.token_type, issued: exchanged.issued_token_type, details: exchanged.authorization_details?.length });
await call(software, exchanged.access_token, instance);

callback.close();
done();
