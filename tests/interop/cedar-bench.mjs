// Times cedar-wasm for ./bench cedar: a line of JSON in, a line of JSON out.
//   {"op":"load","generator":"…/gen.mjs","n":100}   → {"policies":"…","entities":[…],"request":{…}}, and the set is preparsed
//   {"op":"run","n":100,"milliseconds":300}          → {"ns":1234.5,"decision":"allow"}
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { preparsePolicySet, statefulIsAuthorized } from '@cedar-policy/cedar-wasm/nodejs';

const loaded = new Map();

async function load({ generator, n }) {
  const { gen } = await import(pathToFileURL(generator));
  const { policies, entities, request } = gen(n);
  const text = policies.join('\n');
  const answer = preparsePolicySet(`w${n}`, { staticPolicies: text });
  if (answer.type !== 'success') throw new Error(JSON.stringify(answer));
  loaded.set(n, { ...request, entities, preparsedPolicySetId: `w${n}` });
  return { policies: text, entities, request };
}

function run({ n, milliseconds }) {
  const call = loaded.get(n);
  const answer = statefulIsAuthorized(call);
  if (answer.type !== 'success' || answer.response.diagnostics.errors.length > 0) throw new Error(JSON.stringify(answer));
  let calls = 0;
  const start = process.hrtime.bigint();
  const end = start + BigInt(milliseconds) * 1000000n;
  let now = start;
  while (now < end) {
    for (let i = 0; i < 8; i++) statefulIsAuthorized(call);
    calls += 8;
    now = process.hrtime.bigint();
  }
  return { ns: Number(now - start) / calls, decision: answer.response.decision, reasons: answer.response.diagnostics.reason };
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  const answer = command.op === 'load' ? await load(command) : run(command);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
