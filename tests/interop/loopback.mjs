// What the programs here share: they tell what happens as one JSON object a line, and wait for a browser at a loopback address (RFC 8252 §7.3).
import { createServer } from 'node:http';
import { once } from 'node:events';

export const say = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));

/** The plan, from the command line; the program ends by itself after a while. */
export function plan() {
  const limit = setTimeout(() => { say('timeout'); process.exit(3); }, 150_000);
  return { ...JSON.parse(process.argv[2]), done: () => { clearTimeout(limit); say('done'); } };
}

/** A listener at whatever port is free. `next()` is the address of the next answer that arrives. */
export async function loopback() {
  const answers = [];
  const listener = createServer((request, response) => {
    const url = new URL(request.url, `http://127.0.0.1:${listener.address().port}`);
    if (url.pathname !== '/callback') return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<!doctype html><html lang=en><link rel=icon href=data:,><title>Done</title><p>You can close this window.');
    answers.push(url);
    listener.emit('answer');
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    redirectUri: `http://127.0.0.1:${listener.address().port}/callback`,
    async next() {
      while (answers.length === 0) await once(listener, 'answer');
      return answers.shift();
    },
    close() { listener.close(); listener.closeAllConnections?.(); },
  };
}
