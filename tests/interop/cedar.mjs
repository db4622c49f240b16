// The Cedar reference, asked by the tests of src/McpAuth.Cedar: a line of JSON in, a line of JSON out, until the input ends.
//   {"op":"world", policies, templates, links, schema, entities, requests}  → what each function says of it, see world()
//   {"op":"written", sets: [{policies, templates, links}], entities, requests} → the decisions by each set, and the first set as JSON
//   {"op":"parse", texts: [...]}, {"op":"schemas", texts: [...]}              → {"accepted": [true, …]}
import { createInterface } from 'node:readline';
import * as cedar from '@cedar-policy/cedar-wasm/nodejs';

const ok = (answer) => answer.type === 'success';
const why = (answer) => (ok(answer) ? null : answer.errors.map((e) => e.message).join('; '));

function world({ policies, templates, links, schema, entities, requests }) {
  const set = { staticPolicies: policies, templates, templateLinks: links };
  const parsed = cedar.preparsePolicySet('set', set);
  const answer = { set: why(parsed), schema: null, entities: why(cedar.checkParseEntities({ entities })), typed: null, invalid: null, checked: null, answers: [] };
  if (ok(parsed)) {
    const verdict = cedar.validate({ schema, policies: set });
    if (ok(verdict)) answer.invalid = verdict.validationErrors.map((e) => [e.policyId, e.error.message]);
    else answer.schema = why(cedar.checkParseSchema(schema)) ?? why(verdict);
  } else {
    answer.schema = why(cedar.checkParseSchema(schema));
  }
  if (answer.schema === null) answer.typed = why(cedar.checkParseEntities({ entities, schema }));
  if (ok(parsed) && answer.schema === null && answer.typed === null) {
    answer.checked = answered(cedar.isAuthorized({ ...requests[0], policies: set, entities, schema, validateRequest: true }));
  }
  if (ok(parsed) && answer.entities === null) answer.answers = decide(entities, requests);
  return answer;
}

function decide(entities, requests) {
  return requests.map((request) => answered(cedar.statefulIsAuthorized({ ...request, entities, preparsedPolicySetId: 'set' })));
}

function answered(decided) {
  if (!ok(decided)) return { failure: why(decided) };
  const { decision, diagnostics } = decided.response;
  return { decision, reasons: diagnostics.reason, errors: diagnostics.errors.map((e) => [e.policyId, e.error.message]) };
}

function written({ sets, entities, requests }) {
  const asJson = (texts, write) => Object.fromEntries(Object.entries(texts).map(([id, text]) => [id, write(text).json]));
  return {
    sets: sets.map(({ policies, templates, links }) => {
      const parsed = cedar.preparsePolicySet('set', { staticPolicies: policies, templates, templateLinks: links });
      return { set: why(parsed), answers: ok(parsed) ? decide(entities, requests) : [] };
    }),
    json: {
      staticPolicies: asJson(sets[0].policies, cedar.policyToJson),
      templates: asJson(sets[0].templates, cedar.templateToJson),
      templateLinks: sets[0].links,
    },
  };
}

const operations = {
  world,
  written,
  parse: ({ texts }) => ({ accepted: texts.map((text) => ok(cedar.policySetTextToParts(text))) }),
  schemas: ({ texts }) => ({ accepted: texts.map((text) => ok(cedar.checkParseSchema(text))) }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { op, ...call } = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(operations[op](call))}\n`);
}
