/** `curfew policy eval` and `init`. */
import { cpSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fromRfc3339 } from '../../domain/instant.ts';
import type { JsonValue } from '../../domain/json.ts';
import { readSources } from '../../policy/toolchain/read-sources.ts';
import type { Explanation } from '../../policy/toolchain/toolchain.ts';
import { Failed } from '../api-client.ts';
import { readInput, type Run } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { asJson, plain } from '../print.ts';
import { withToolchain } from './session.ts';

export interface EvalOptions {
  readonly input?: string;
  readonly rule: string;
  readonly at?: string;
  readonly trace?: Explanation;
}

const queryOf = (rule: string): string => `data${rule.split('/').map((part) => `[${JSON.stringify(part)}]`).join('')}`;

const parseInput = (text: string, path: string): JsonValue => {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (error) {
    throw new Failed(EXIT.refused, `${path} is not JSON: ${error instanceof Error ? error.message : ''}`);
  }
};

export const evalCommand = (run: Run, folder: string, { input: path, rule, at, trace: explain }: EvalOptions): Promise<void> =>
  withToolchain(run, folder, async (toolchain) => {
    const sources = readSources(folder);
    const input = path === undefined ? undefined : parseInput(await readInput(run.deps, path), path);
    const nowMs = at === undefined ? undefined : fromRfc3339(at);
    const { result, printed, trace } = await toolchain.evaluate(sources, {
      query: queryOf(rule),
      ...(input === undefined ? {} : { input }),
      ...(nowMs === undefined ? {} : { nowMs }),
      ...(explain === undefined ? {} : { explain }),
    });
    if (trace !== undefined) run.deps.stdout(trace.split('\n').map((line) => `${plain(line).trimEnd()}\n`).join(''));
    if (printed !== '') run.deps.stderr(`${printed.trimEnd().split('\n').map(plain).join('\n')}\n`);
    run.deps.stdout(result === undefined ? 'undefined\n' : asJson(result));
  });

const STARTER = fileURLToPath(new URL('../../../policies/curfew/', import.meta.url));

const OWN = `# Your own rules: more refusals, or objections to single grants. They can only narrow what the grants allow.
package curfew.access

# Nothing writes while the site is read-only.
refusals contains "the site is read-only" if {
	data.curfew.read_only
	not input.curfew.action in {"GET", "HEAD", "OPTIONS"}
}
`;

const OWN_TEST = `package curfew.own_test

import data.curfew.access

asked(action) := {"curfew": {
	"now_ms": 1764000000000,
	"action": action,
	"resource": {"type": "http", "id": "shop.local/orders/1"},
	"grants": [{"id": "g1", "model": "jit", "tier": "standard"}],
}}

test_nothing_writes_while_read_only if {
	access.decision == {"allow": false, "reasons": ["the site is read-only"]} with input as asked("POST")
		with data.curfew.read_only as true
}

test_reading_goes_on if {
	access.decision.allow with input as asked("GET") with data.curfew.read_only as true
	access.decision.allow with input as asked("POST") with data.curfew.read_only as false
}
`;

const OWN_TIMELINE = `title: Access ends with the task it is for
development: true
workloads:
  agent: spiffe://agents.example/helper
steps:
  - open: { task: ticket, kind: ticket, owner: "team:support", reference: TICKET-7, deadline: +1h }
  - grant:
      name: read
      workload: agent
      model: jit
      task: ticket
      scopes: ["GET http:shop.local/orders/**"]
      ttl: 10m
      owner: team:support
      justification: answers the ticket
  - at: +29.999s
    ask: { workload: agent, action: GET, resource: "http:shop.local/orders/1" }
    expect: { allow: read, validUntil: +10m }
  - at: +30s
    close: ticket
  - at: +31s
    ask: { workload: agent, action: GET, resource: "http:shop.local/orders/1" }
    expect: { deny: task.closed }
`;

/** The default pack, and a file of one's own with its tests. */
export const initCommand = (run: Run, folder: string): void => {
  if (existsSync(folder) && readdirSync(folder).length > 0) throw new Failed(EXIT.refused, `${folder} is not empty`);
  cpSync(STARTER, folder, { recursive: true });
  writeFileSync(join(folder, 'own.rego'), OWN);
  writeFileSync(join(folder, 'own_test.rego'), OWN_TEST);
  writeFileSync(join(folder, 'own.timeline.yaml'), OWN_TIMELINE);
  const at = plain(folder);
  run.deps.stdout(`${at} has the default pack and, in own.rego, a first rule of your own, with tests.\n\n  curfew policy test ${at}\n  curfew policy build ${at} --out bundle.tar.gz\n`);
};
