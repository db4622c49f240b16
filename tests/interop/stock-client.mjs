// The official TypeScript SDK as an application uses it: a public client, registered beforehand or not, one person, one tool server.
//
//   node stock-client.mjs '{"resource":"…","client_id":"…","read":{"name":"…","arguments":{}},"write":{"name":"…","arguments":{}}}'
//
// Writes one JSON object a line: what happened, and {"event":"authorize","url":"…"} when a browser has to go there. Ends with code 0.
import { randomUUID } from 'node:crypto';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport, StreamableHTTPError } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { loopback, plan, say } from './loopback.mjs';

const { resource, client_id, document, read, write, done } = plan();
const callback = await loopback();

const provider = {
  redirectUrl: callback.redirectUri,
  // Without a client id it goes by its document, or registers itself with what stands here.
  clientMetadataUrl: document ?? undefined,
  clientMetadata: {
    client_name: 'Stock client', redirect_uris: [callback.redirectUri], token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'],
  },
  information: client_id ? { client_id } : undefined,
  clientInformation() { return this.information; },
  saveClientInformation(information) { this.information = information; },
  state() { return (this.expected = randomUUID()); },
  tokens() { return this.held; },
  saveTokens(tokens) { say(this.held ? 'renewed' : 'tokens', { scope: tokens.scope, refreshable: Boolean(tokens.refresh_token) }); this.held = tokens; },
  saveCodeVerifier(verifier) { this.verifier = verifier; },
  codeVerifier() { return this.verifier; },
  redirectToAuthorization(url) { say('authorize', { url: url.href }); },
};

async function authorized(transport) {
  const answer = Object.fromEntries((await callback.next()).searchParams);
  say('answer', { error: answer.error, iss: answer.iss, state: answer.state === provider.expected });
  if (!answer.code) throw new Error(`No code: ${answer.error}`);
  await transport.finishAuth(answer.code);
}

const connection = () => [new Client({ name: 'stock-client', version: '1.0.0' }), new StreamableHTTPClientTransport(new URL(resource), { authProvider: provider })];

async function call(client, { name, arguments: values }) {
  const result = await client.callTool({ name, arguments: values });
  say('call', { tool: name, failed: result.isError === true, text: result.content?.[0]?.text });
}

// 1. No token: the 401 leads to the authorization server, and the person.
let [client, transport] = connection();
try {
  await client.connect(transport);
  throw new Error('The tool server let in a client without a token.');
} catch (error) {
  if (!(error instanceof UnauthorizedError)) throw error;
}
await authorized(transport);
[client, transport] = connection();
await client.connect(transport);
say('tools', { names: (await client.listTools()).tools.map(t => t.name) });
await call(client, read);

// 2. More authority is needed. With a refresh token at hand this SDK renews instead of asking the person, and gives up at the second 403.
try {
  await call(client, write);
} catch (error) {
  if (!(error instanceof StreamableHTTPError && error.code === 403)) throw error;
  say('denied', { message: error.message });
}
await client.close();

// So an application lets go of the refresh token first: then the challenge's scopes go to the person.
provider.held = { ...provider.held, refresh_token: undefined };
[client, transport] = connection();
await client.connect(transport);
try {
  await call(client, write);
  throw new Error('The tool server ran what was not consented to.');
} catch (error) {
  if (!(error instanceof UnauthorizedError)) throw error;
}
await authorized(transport);
await call(client, write);

// 3. The access token expires; the next call after that renews it, and nobody is asked.
const before = provider.held.access_token;
while (provider.held.access_token === before) {
  await new Promise(resolve => setTimeout(resolve, 250));
  await client.callTool({ name: read.name, arguments: read.arguments });
}
await call(client, read);

await client.close();
callback.close();
done();
