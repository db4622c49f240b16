// oauth4webapi, a library that sends and checks what the standards say and nothing else, as a program, a device and an agent would use it.
//
//   node oauth4webapi.mjs '{"issuer":"…","resource":"…","program":"client id","agent":{"client_id":"…","key":"pkcs8, base64"},
//                           "service":{"client_id":"…","secret":"…"},"introspector":{"client_id":"…","secret":"…"},"tool":"…","arguments":{}}'
import { setTimeout as pause } from 'node:timers/promises';
import * as oauth from 'oauth4webapi';
import { loopback, plan, say } from './loopback.mjs';

const { issuer, resource, program, agent, service, introspector, tool, arguments: values, done } = plan();
const plain = { [oauth.allowInsecureRequests]: true };
const callback = await loopback();

/** Sends once more when the server wants its nonce in the proof (RFC 9449 §8): the handle has learnt it from the refusal. */
async function again(send) {
  try {
    return await send();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    say('nonce');
    return await send();
  }
}

/** The call of a tool at the tool server, by a token. */
async function call(token, DPoP) {
  const body = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool, arguments: values } };
  const headers = new Headers({ 'content-type': 'application/json', accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2025-11-25' });
  const response = await again(() => oauth.protectedResourceRequest(token, 'POST', new URL(resource), headers, JSON.stringify(body), { DPoP, ...plain }));
  const text = await response.text();
  say('call', { status: response.status, ran: text.includes('"content"') && !text.includes('"isError":true') });
}

// 1. Discovery, both ways; the library compares the issuer.
const oidc = await oauth.processDiscoveryResponse(new URL(issuer), await oauth.discoveryRequest(new URL(issuer), { algorithm: 'oidc', ...plain }));
const as = await oauth.processDiscoveryResponse(new URL(issuer), await oauth.discoveryRequest(new URL(issuer), { algorithm: 'oauth2', ...plain }));
say('discovery', { same: JSON.stringify(as) === JSON.stringify(oidc) });

// 2. A program: pushed request, person, code, token, all bound to one key.
const client = { client_id: program };
const key = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));
const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const request = new URLSearchParams({
  response_type: 'code', redirect_uri: callback.redirectUri, code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', resource,
  scope: 'tools:read offline_access', state,
});
const pushed = await again(async () => oauth.processPushedAuthorizationResponse(
  as, client, await oauth.pushedAuthorizationRequest(as, client, oauth.None(), request, { DPoP: key, ...plain })));
say('pushed', { expires_in: pushed.expires_in });
const address = new URL(as.authorization_endpoint);
address.search = new URLSearchParams({ client_id: program, request_uri: pushed.request_uri });
say('authorize', { url: address.href });
const answer = oauth.validateAuthResponse(as, client, await callback.next(), state);
const first = await again(async () => oauth.processAuthorizationCodeResponse(
  as, client, await oauth.authorizationCodeGrantRequest(as, client, oauth.None(), answer, callback.redirectUri, verifier, { DPoP: key, ...plain })));
say('tokens', { type: first.token_type, scope: first.scope, refreshable: Boolean(first.refresh_token) });
await call(first.access_token, key);

// 3. Renewal, with the same key.
const second = await again(async () => oauth.processRefreshTokenResponse(
  as, client, await oauth.refreshTokenGrantRequest(as, client, oauth.None(), first.refresh_token, { DPoP: key, ...plain })));
say('renewed', { type: second.token_type, rotated: second.refresh_token !== first.refresh_token });
await call(second.access_token, key);

// 4. Introspection by the tool server's own client, in the clear and signed.
{
  const server = { client_id: introspector.client_id, introspection_signed_response_alg: 'ES256' };
  const secret = oauth.ClientSecretBasic(introspector.secret);
  for (const signed of [false, true]) {
    const response = await oauth.introspectionRequest(as, server, secret, second.access_token, { requestJwtResponse: signed, ...plain });
    const told = await oauth.processIntrospectionResponse(as, server, response);
    say('introspected', { signed, active: told.active, client_id: told.client_id });
  }
}

// 5. Revocation: afterwards there is nothing to renew.
await oauth.processRevocationResponse(await again(() => oauth.revocationRequest(as, client, oauth.None(), second.refresh_token, plain)));
try {
  await oauth.processRefreshTokenResponse(as, client, await oauth.refreshTokenGrantRequest(as, client, oauth.None(), second.refresh_token, { DPoP: key, ...plain }));
  throw new Error('A revoked refresh token was taken.');
} catch (error) {
  if (!(error instanceof oauth.ResponseBodyError)) throw error;
  say('revoked', { error: error.error });
}

// 6. A device.
const begun = await oauth.processDeviceAuthorizationResponse(as, client, await oauth.deviceAuthorizationRequest(
  as, client, oauth.None(), new URLSearchParams({ resource, scope: 'tools:read' }), plain));
say('device', { url: begun.verification_uri_complete });
for (let interval = begun.interval; ; await pause(interval * 1000)) {
  try {
    const token = await oauth.processDeviceCodeResponse(as, client, await oauth.deviceCodeGrantRequest(as, client, oauth.None(), begun.device_code, plain));
    say('device-tokens', { type: token.token_type });
    await call(token.access_token);
    break;
  } catch (error) {
    if (!(error instanceof oauth.ResponseBodyError) || !['authorization_pending', 'slow_down'].includes(error.error)) throw error;
    if (error.error === 'slow_down') interval += 5;
  }
}

// 7. A service for itself.
const machine = { client_id: service.client_id };
const own = await oauth.processClientCredentialsResponse(as, machine, await oauth.clientCredentialsGrantRequest(
  as, machine, oauth.ClientSecretBasic(service.secret), new URLSearchParams({ resource }), plain));
say('own', { type: own.token_type });
await call(own.access_token);

// 8. An agent: attested, then an exchange for a task of its own. Attestation is asked for as a token is, at an address of its own.
const software = { client_id: agent.client_id };
const evidence = await crypto.subtle.importKey('pkcs8', Buffer.from(agent.key, 'base64'), { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
const instance = oauth.DPoP(software, await oauth.generateKeyPair('ES256'));
const attested = await again(async () => {
  const created = await oauth.genericTokenEndpointRequest(
    { ...as, token_endpoint: `${issuer}/agents/instances` }, software, oauth.PrivateKeyJwt(evidence), 'client_credentials', new URLSearchParams(), { DPoP: instance, ...plain });
  // Something was made, so it answers 201, which a token endpoint would not.
  const answer = created.status === 201 ? new Response(await created.text(), { headers: created.headers }) : created;
  return oauth.processGenericTokenEndpointResponse(as, software, answer);
});
say('attested', { type: attested.token_type });
const type = 'urn:ietf:params:oauth:token-type:access_token';
const exchanged = await again(async () => oauth.processGenericTokenEndpointResponse(as, software, await oauth.genericTokenEndpointRequest(
  as, software, oauth.PrivateKeyJwt(evidence), 'urn:ietf:params:oauth:grant-type:token-exchange', new URLSearchParams({
    subject_token: attested.access_token, subject_token_type: type, resource,
    authorization_details: JSON.stringify([{ type: 'mcp_tool_call', locations: [resource], actions: ['tools/call'], tools: { [tool]: {} }, task: { purpose: 'read a report' } }]),
  }), { DPoP: instance, ...plain })));
say('exchanged', { type: exchanged.token_type, issued: exchanged.issued_token_type, details: exchanged.authorization_details?.length });
await call(exchanged.access_token, instance);

callback.close();
done();
