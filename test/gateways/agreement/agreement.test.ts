/** demand(1): one set of cases through all protocols of the real program; every answer agrees with the case, and so with every other. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { startCurfew, temporaryDirectory, type Curfew } from '../../runtime/curfew.ts';
import { PEP_TOKEN, protocolsOf, type Answer, type Ask } from './protocols.ts';

interface Case {
  readonly name: string;
  readonly given: readonly string[];
  readonly ask?: string;
  readonly method?: string;
  readonly expect: string | readonly string[];
  /** Set up anew for each protocol. */
  readonly each?: boolean;
  /** What the same question gets when it is asked once more. */
  readonly then?: string;
}

const CASES = parse(readFileSync(new URL('cases.yaml', import.meta.url), 'utf8')) as readonly Case[];

const CONFIG = `
peps:
  - { id: gateway, token: { env: GATEWAY_TOKEN }, asserts: ["spiffe://dev.local/agree/**"], hosts: [shop.local] }
  - { id: nginx, token: { env: NGINX_TOKEN }, headers: x-original, hosts: ["*"] }
opa:
  paths: [{ path: curfew/access/decision, question: envoy }]
kubernetes:
  enabled: true
  user: "spiffe://dev.local/agree/{user}"
  opinions: [{ users: ["*"] }]
`;

let curfew: Curfew;
let remove: () => void;
let protocols: ReturnType<typeof protocolsOf>;
let count = 0;

beforeAll(async () => {
  const directory = temporaryDirectory();
  ({ remove } = directory);
  writeFileSync(join(directory.path, 'curfew.yaml'), CONFIG);
  curfew = await startCurfew({ directory: directory.path, args: ['--config', 'curfew.yaml'], env: { GATEWAY_TOKEN: PEP_TOKEN, NGINX_TOKEN: `${PEP_TOKEN}-nginx` } });
  protocols = protocolsOf(curfew);
});
afterAll(async () => {
  protocols?.close();
  await curfew?.stop();
  remove?.();
});

const SCOPES = [
  { actions: ['GET'], resource: { type: 'http', id: 'shop.local/orders/**' } },
  { actions: ['GET'], resource: { type: 'kubernetes', id: 'ns/shop/core/orders/**' } },
];

interface Scene {
  readonly workload: string;
  grant: string;
  task: string;
}

const inHours = (hours: number): string => new Date(Date.now() + hours * 3_600_000).toISOString();

const command = async (path: string, body: unknown): Promise<any> => {
  const { status, body: answer } = await curfew.admin('POST', path, body);
  if (status >= 300) throw new Error(`${path}: ${JSON.stringify(answer)}`);
  return answer;
};

const perform = async (scene: Scene, step: string): Promise<void> => {
  const { workload, grant, task } = scene;
  const issue = async (more: Record<string, unknown> = {}, of = workload): Promise<void> => {
    scene.grant = (await curfew.grant(of, { scopes: SCOPES, ...more })).id;
  };
  switch (step) {
    case 'grant': return issue();
    case 'grant to another': return issue({}, `${workload}-other`);
    case 'grant that begins later': return issue({ ttlMs: undefined, notBefore: inHours(1), expiresAt: inHours(2) });
    case 'grant by team:gone': return issue({ owner: 'team:gone' });
    case 'grant for one use': return issue({ uses: 1 });
    case 'grant on task': return issue({ model: 'jit', task });
    case 'task': {
      scene.task = (await command('/v1/tasks', { kind: 'ticket', owner: 'team:shop', reference: 'T-1' })).id;
      return;
    }
    case 'pause task': case 'resume task': case 'close task': return command(`/v1/tasks/${task}/${step.split(' ')[0]}`, {});
    case 'revoke grant': return command('/v1/revocations', { selector: { kind: 'grant', value: grant }, reason: step });
    case 'revoke workload': return command('/v1/revocations', { selector: { kind: 'workload', value: workload }, reason: step });
    case 'revoke owner team:gone': return command('/v1/revocations', { selector: { kind: 'owner', value: 'team:gone' }, reason: step });
    case 'suspend workload': return command('/v1/suspensions', { selector: { kind: 'workload', value: workload }, reason: step });
    case 'suspend realm': return command('/v1/suspensions', { selector: { kind: 'realm', value: 'default' }, reason: step });
    default: throw new Error(`no such step: ${step}`);
  }
};

const scene = async ({ given, ask = '/orders/42', method = 'GET' }: Pick<Case, 'given' | 'ask' | 'method'>): Promise<Ask> => {
  count += 1;
  const made: Scene = { workload: `spiffe://dev.local/agree/case-${count}`, grant: '', task: '' };
  const token = await curfew.mint(made.workload);
  for (const step of given) await perform(made, step);
  return { workload: made.workload, token, method, path: ask };
};

const said = ({ allow, reason }: Answer): string => (allow ? 'allow' : (reason ?? 'deny'));

describe('demand(1): every protocol', () => {
  test.each(CASES)('$name', { timeout: 120_000 }, async (given) => {
    const wanted = [given.expect].flat();
    let asked = given.each === true ? undefined : await scene(given);
    const ends = new Set<string>();
    for (const [name, ask] of protocols.all) {
      if (given.each === true) asked = await scene(given);
      const answer = await ask(asked as Ask);
      expect(wanted, `${name}: ${said(answer)}`).toContain(said(answer));
      if (answer.validUntil !== undefined && given.each !== true) ends.add(answer.validUntil);
      if (given.then !== undefined) expect(said(await ask(asked as Ask)), name).toBe(given.then);
    }
    // Those that allow say the same end.
    expect(ends.size).toBe(wanted.includes('allow') && given.each !== true ? 1 : 0);
  });
});

describe('demand(1) I1: at the end of a grant', () => {
  test('no protocol allows any more, and until then all do', { timeout: 120_000 }, async () => {
    const own = await startCurfew({ directory: curfew.directory, args: ['--config', 'curfew.yaml', '--store', 'other-store'], env: { GATEWAY_TOKEN: PEP_TOKEN, NGINX_TOKEN: `${PEP_TOKEN}-nginx` } });
    const every = protocolsOf(own);
    try {
      const workload = 'spiffe://dev.local/agree/ends';
      const ask: Ask = { workload, token: await own.mint(workload), method: 'GET', path: '/orders/42' };
      for (const by of every.all.values()) await by(ask);
      const end = Date.parse((await own.grant(workload, { scopes: SCOPES, ttlMs: 5_000 })).expiresAt);
      const late: [name: string, said: string][] = [];
      const early = new Set<string>();
      await Promise.all([...every.all].map(async ([name, by]) => {
        // At least one question of each comes after the end, however busy the machine is.
        for (let asked = Date.now(), after = 0; asked < end + 150 || after === 0; asked = Date.now()) {
          const answer = await by(ask);
          if (asked >= end) {
            after += 1;
            late.push([name, said(answer)]);
          } else if (answer.allow) early.add(name);
        }
      }));
      expect([...early].toSorted()).toEqual([...every.all.keys()].toSorted());
      for (const [name, answer] of late) expect(answer, name).toBe('grant.expired');
      expect(new Set(late.map(([name]) => name)).size).toBe(every.all.size);
    } finally {
      every.close();
      await own.stop();
    }
  });
});
