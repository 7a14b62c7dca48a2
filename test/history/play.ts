/**
 * Plays one history: grants are issued, asked for without pause, and ended one way or another while something goes wrong; then all is put
 * right, access must come back, and what was confirmed must be there. The seed determines the plan, not how fast things go.
 */
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { BACK_WITHIN_MS } from './check.ts';
import { pause, type Fault } from './fault.ts';
import { faultsFor, nodeFor } from './faults.ts';
import type { OperatorRole } from '../fleet/fleet.ts';
import { instant, type Ask, type Command, type Ending, type History, type IssuedGrant, type Written } from './history.ts';
import { seeded } from './random.ts';
import { askInLine } from './lines.ts';
import { MAX_CLOCK_STEP_MS, type World } from './world.ts';

export interface PlayOptions {
  /** In place of what the seed says. */
  readonly fault?: Fault;
  readonly probesPerNode?: number;
  /** What ends access comes while something is wrong, from the other nodes. */
  readonly promptly?: boolean;
  /** So much later, for faults that take a while to begin. */
  readonly endsFromMs?: number;
  /** Grants that end soon, one after another. */
  readonly shorts?: number;
  /** So many clients more of each node send many questions without waiting for answers. */
  readonly lines?: number;
  /** Requests whose workload is revoked before they are approved. */
  readonly queued?: number;
}

const ANSWER_WITHIN_MS = 4_000;
/** L1 is judged by the checker; this is when nobody looks any more. */
const LOOK_FOR_MS = BACK_WITHIN_MS + 2_000;
/** Before anything is wrong; no guarantee is judged by it. */
const ISSUED_WITHIN_MS = 30_000;
const LIVES_MS = 600_000;
/** Questions that a client sends without waiting; the server takes fewer than twice as many of one connection. */
const A_LINE = 30;
const ENDINGS: readonly Ending[] = ['revoke', 'suspend', 'close', 'pause', 'revoke'];

const log = (world: World, node: number): string => join(world.fleet.directory(node), 'decisions.jsonl');
const sizeOf = (path: string): number => {
  if (!existsSync(path)) return 0;
  const file = openSync(path, 'r');
  const { size } = fstatSync(file);
  closeSync(file);
  return size;
};

/** What a node wrote down since its log was `from` bytes long. */
const recordsSince = (world: World, node: number, from: number): readonly any[] => {
  const path = log(world, node);
  const bytes = Buffer.alloc(Math.max(0, sizeOf(path) - from));
  const file = openSync(path, 'r');
  readSync(file, bytes, 0, bytes.length, from);
  closeSync(file);
  // A process that was killed may leave half a line.
  return bytes.toString('utf8').split('\n').filter((line) => line.startsWith('{') && line.endsWith('}')).map((line) => JSON.parse(line));
};

const writtenOf = (records: readonly any[], node: number): readonly Written[] =>
  records.flatMap((record) =>
    record.result?.allow !== true || typeof record.result.grant !== 'string'
      ? []
      : [{ node, decision: record.id, grant: record.result.grant, earliest: record.now.earliest, factsAgeMs: record.factsAgeUs === undefined ? undefined : record.factsAgeUs / 1_000 }]);

const deniedOf = (records: readonly any[], node: number, since: number): NonNullable<History['denied']> => {
  const reasons = new Map<string, { count: number; last: number }>();
  for (const { result, now, detail } of records) {
    if (result?.allow !== false || !(now.earliest >= since)) continue;
    const name = typeof detail === 'string' ? `${result.reason} (${detail})` : String(result.reason);
    const known = reasons.get(name) ?? { count: 0, last: 0 };
    reasons.set(name, { count: known.count + 1, last: Math.max(known.last, now.earliest) });
  }
  return [...reasons].map(([reason, told]) => ({ node, reason, ...told }));
};

export const play = async (world: World, seed: number, options: PlayOptions = {}): Promise<History> => {
  const random = seeded(seed);
  const { fleet } = world;
  const size = fleet.nodes.length;
  const fault = options.fault ?? random.pick(faultsFor(world));
  const faulty = nodeFor(fault, world, random);
  const workload = `spiffe://example.org/history/${seed}-${Math.floor(instant())}`;
  const asks: Ask[] = [];
  const commands: Command[] = [];
  const grants: IssuedGrant[] = [];
  const tasks = new Map<string, string>();
  /** Of grants that are another workload's. */
  const others = new Map<string, string>();
  const sizes = Array.from({ length: size }, (_, node) => (existsSync(log(world, node)) ? sizeOf(log(world, node)) : 0));

  const ask = async (node: number, grant: string): Promise<number> => {
    const started = instant();
    const answer = await world.node(node).ask(fleet.credential(others.get(grant) ?? workload), `/deploy/${grant}`, { 'x-forwarded-method': 'POST' }, AbortSignal.timeout(ANSWER_WITHIN_MS)).catch(() => undefined);
    asks.push({ node, grant, started, ended: instant(), status: answer?.status ?? 0, decision: answer?.headers.get('x-curfew-decision-id') ?? undefined });
    return answer?.status ?? 0;
  };
  const askMany = async (node: number, grant: string): Promise<void> => {
    const answers = await askInLine(world.node(node), fleet.credential(others.get(grant) ?? workload), `/deploy/${grant}`, A_LINE);
    asks.push(...answers.map((answer) => ({ node, grant, ended: instant(), ...answer })));
  };
  const BY: Readonly<Record<Command['what'], OperatorRole>> = { issue: 'issuer', close: 'issuer', pause: 'issuer', approve: 'approver', revoke: 'responder', suspend: 'responder' };
  const command = async (what: Command['what'], node: number, grant: string, method: string, path: string, body: unknown): Promise<any> => {
    const started = instant();
    const answer = await fleet.admin(world.node(node), BY[what], method, path, body, AbortSignal.timeout(ANSWER_WITHIN_MS * 2)).catch(() => undefined);
    const status = answer?.status ?? 0;
    commands.push({ what, node, grant, started, ended: instant(), status, outcome: status === 200 || status === 201 ? 'done' : status >= 400 && status < 500 ? 'refused' : 'unknown' });
    return status === 201 || status === 200 ? answer?.body : undefined;
  };
  const issueOnce = async (node: number, name: string, ttlMs: number): Promise<void> => {
    const task = await fleet.admin(world.node(node), 'issuer', 'POST', '/tasks', { kind: 'ci-run', owner: 'team:shop', reference: 'RUN-1' }, AbortSignal.timeout(ANSWER_WITHIN_MS)).catch(() => undefined);
    if (task?.status !== 201) return;
    const grant = await command('issue', node, name, 'POST', '/grants', {
      workload, model: 'jit', entitlement: 'shop-deploy', task: task.body.id, ttlMs, owner: 'team:shop', justification: 'release',
      scopes: [{ actions: ['POST'], resource: { type: 'http', id: `shop.local/deploy/${name}` } }],
    });
    if (grant === undefined) return;
    grants.push({ name, id: grant.id, expiresAt: Date.parse(grant.expiresAt) });
    tasks.set(name, task.body.id);
  };
  const isThere = (name: string): boolean => grants.some((grant) => grant.name === name);
  /** A node that has just come back from an earlier history may still refuse. */
  const issue = async (node: number, name: string, ttlMs = LIVES_MS): Promise<void> => {
    for (const until = instant() + ISSUED_WITHIN_MS; !isThere(name) && instant() < until;) {
      await issueOnce(node, name, ttlMs);
      if (!isThere(name)) await pause(50);
    }
    if (!isThere(name)) throw new Error(`node ${node} does not issue, although nothing is wrong: ${JSON.stringify(commands.at(-1))}`);
  };
  const end = async (what: Ending, node: number, name: string): Promise<void> => {
    const id = grants.find((grant) => grant.name === name)?.id;
    if (id === undefined) return;
    if (what === 'close' || what === 'pause') await command(what, node, name, 'POST', `/tasks/${tasks.get(name)}/${what}`, undefined);
    else await command(what, node, name, 'POST', what === 'revoke' ? '/revocations' : '/suspensions', { selector: { kind: 'grant', value: id }, reason: 'over' });
  };
  /** What was asked for before its workload was revoked, and is approved after. */
  const queue = async (name: string): Promise<void> => {
    const [node, other] = [anyNode(), `spiffe://example.org/ci/${name}-${workload.split('/').at(-1)}`];
    others.set(name, other);
    const task = await fleet.admin(world.node(node), 'issuer', 'POST', '/tasks', { kind: 'ci-run', owner: 'team:shop', reference: 'RUN-1' });
    const asked = await fleet.admin(world.node(node), 'requester', 'POST', '/requests', {
      entitlement: 'shop-deploy', workload: other, task: task.body.id, ttlMs: LIVES_MS, owner: 'team:shop', justification: 'release',
      scopes: [{ actions: ['POST'], resource: { type: 'http', id: `shop.local/deploy/${name}` } }],
    });
    if (asked.status !== 201) throw new Error(`a request was refused although nothing is wrong: ${JSON.stringify(asked.body)}`);
    await command('revoke', node, name, 'POST', '/revocations', { selector: { kind: 'workload', value: other }, reason: 'over' });
    const approved = await command('approve', node, name, 'POST', `/requests/${asked.body.id}/approve`, { digest: asked.body.digest });
    if (approved?.grant !== undefined) grants.push({ name, id: approved.grant, expiresAt: Date.parse(approved.terms.expiresAt ?? '') || Number.POSITIVE_INFINITY });
    for (let round = 0; round < 5; round += 1) await ask(node, name);
  };
  const anyNode = (): number => Math.floor(random.next() * size);

  const [first, short] = [Math.floor(random.between(3, 6)), Math.floor(random.between(300, 1_200))];
  const names = Array.from({ length: first }, (_, index) => `g${index}`);
  await Promise.all(names.map((name) => issue(anyNode(), name)));
  let over = false;
  /** The loss of what was confirmed begins to be accepted. */
  let accepting = Number.POSITIVE_INFINITY;
  const probes = fleet.nodes.flatMap((_, node) => Array.from({ length: options.probesPerNode ?? 2 }, async () => {
    for (let round = 0; !over; round += 1) {
      const name = round % 3 === 0 ? names[0] : names[Math.floor(Math.random() * names.length)];
      if ((await ask(node, name as string)) === 0) await pause(20);
    }
  }));
  const planned = names.filter((name) => name !== 'g0');
  const lines = fleet.nodes.flatMap((_, node) => Array.from({ length: options.lines ?? 0 }, async (__, client) => {
    while (!over) await askMany(node, planned[client % planned.length] as string);
  }));
  for (let index = 0; index < (options.shorts ?? 1); index += 1) {
    await issueOnce(anyNode(), `short${index}`, short);
    if (isThere(`short${index}`)) names.push(`short${index}`);
  }
  const plan = planned.map((name) => ({ name, what: random.pick(ENDINGS), ...(options.promptly === true ? { node: (faulty + 1) % size, at: (options.endsFromMs ?? 0) + random.between(20, 350) } : { node: anyNode(), at: random.between(0, 900) }) }));
  // What was read under a lease may be used until that lease is over.
  const deniesAfterMs = fault.deniesAfterMs === undefined ? undefined : fault.deniesAfterMs + (world.kind.startsWith('leased') ? world.maxFactsAgeMs : 0);
  const [from, lasts] = [options.promptly === true ? 0 : random.between(0, 500), random.between((deniesAfterMs ?? 0) + fault.mostMs / 4, (deniesAfterMs ?? 0) + fault.mostMs)];
  let healedAt = 0;
  let mustDeny: History['mustDeny'];
  await Promise.all([
    ...Array.from({ length: options.queued ?? 0 }, (_, index) => queue(`q${index}`)),
    ...plan.map(async ({ name, what, node, at }) => {
      await pause(at);
      await end(what, node, name);
    }),
    (async () => {
      await pause(from);
      const heal = await fault.begin(world, faulty, random);
      const began = instant();
      await pause(lasts);
      const healing = instant();
      if (fault.loses === true) accepting = healing;
      await heal();
      healedAt = instant();
      if (deniesAfterMs !== undefined) mustDeny = { since: began + deniesAfterMs, until: healing, why: fault.name };
    })(),
  ]);
  const kept = fault.loses === true ? undefined : names[0];
  const allowed = await Promise.all(fleet.nodes.map(async (_, node) => {
    if (kept === undefined) return healedAt;
    for (const until = healedAt + LOOK_FOR_MS; instant() < until;) {
      if ((await ask(node, kept)) === 200) return instant();
      await pause(10);
    }
    return undefined;
  }));
  over = true;
  await Promise.all([...probes, ...lines]);
  const states: Record<string, string | undefined> = {};
  for (const { name, id } of fault.loses === true ? [] : grants) {
    for (const until = instant() + LOOK_FOR_MS; ;) {
      const found = await fleet.admin(world.node(0), 'responder', 'GET', `/grants/${id}`, undefined, AbortSignal.timeout(ANSWER_WITHIN_MS)).catch(() => undefined);
      if (found?.status === 200) states[name] = found.body.state;
      if (found?.status === 200 || found?.status === 404 || !(instant() < until)) break;
      await pause(20);
    }
  }
  // The earliest time that a node has told stays told: until its wall has caught up, the records of the next history would say it.
  if (fault.setsClock === true) await pause(Math.max(0, healedAt + MAX_CLOCK_STEP_MS - instant()));
  const records = fleet.nodes.map((_, node) => recordsSince(world, node, sizes[node] ?? 0));
  return {
    world: world.kind, seed, fault: fault.name, mustDeny, maxFactsAgeMs: world.maxFactsAgeMs, grants, commands,
    asks: asks.filter(({ ended }) => ended < accepting),
    written: records.flatMap(writtenOf).filter(({ earliest }) => earliest < accepting),
    denied: records.flatMap((of, node) => deniedOf(of, node, healedAt)),
    wrongClocks: fault.setsServerClock === true ? [...fleet.nodes.keys()] : fault.setsClock === true ? [faulty] : [],
    finally: states,
    healed: fault.loses === true ? undefined : { at: healedAt, allowed },
  };
};
