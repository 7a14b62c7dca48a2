/** A restart with 100,000 expired grants and tasks that are over: it serves at once, and tidies while it does. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Instant } from '../../src/domain/instant.ts';
import { grantRefs } from '../../src/domain/grant-refs.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { openEmbeddedStore } from '../../src/store/embedded/open.ts';
import { createClock } from '../../src/time/clock.ts';
import { grantOf, taskOf } from '../decision/world.ts';
import { until } from '../support/until.ts';
import { startCurfew, temporaryDirectory, type Curfew } from './curfew.ts';

const GRANTS = 100_000;
const TASKS = 300;
const PER_COMMIT = 300;
const WHO = 'spiffe://dev.local/ci/deployer';
const directory = temporaryDirectory();
let curfew: Curfew | undefined;
/** What its processes have used of processors. */
const processorMs = ({ pid, workers }: Curfew): number =>
  [pid, ...workers()].reduce((sum, id) => {
    const fields = readFileSync(`/proc/${id}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    // Of itself and in the kernel, in hundredths of a second.
    return sum + (Number(fields[11]) + Number(fields[12])) * 10;
  }, 0);

beforeAll(async () => {
  const clock = createClock({ maxClockStepMs: 60_000 });
  const store = await openEmbeddedStore({ path: join(directory.path, '.curfew/store'), mode: 'development', clock, mapSizeBytes: 2 ** 30 });
  const now = clock.now().latest;
  const [notBefore, expiresAt] = [(now - 7_200_000) as Instant, (now - 3_600_000) as Instant];
  const task = (index: number) => taskOf({ id: `t-${index}`, openedAt: notBefore, deadline: expiresAt });
  await store.commit({ realm: 'default', expect: [], puts: Array.from({ length: TASKS }, (_, index) => ({ key: { kind: 'task', id: `t-${index}` }, value: task(index) as unknown as JsonObject })), events: [] });
  const writing = new Set<Promise<unknown>>();
  for (let from = 0; from < GRANTS; from += PER_COMMIT) {
    const grants = Array.from({ length: Math.min(PER_COMMIT, GRANTS - from) }, (_, at) => grantOf({
      id: `g-${from + at}`, epoch: store.epoch, workload: (from + at) % 10 === 0 ? WHO : `spiffe://dev.local/w/${(from + at) % 5_000}`, notBefore, expiresAt, task: `t-${(from + at) % TASKS}`, model: 'jit',
    }));
    const work = store.commit({
      realm: 'default', expect: [], events: [{ type: 'changed', about: [], ending: false, data: {} }],
      puts: grants.map((grant) => ({ key: { kind: 'grant', id: grant.id }, value: grant as unknown as JsonObject, index: { owner: grant.workload, end: grant.expiresAt }, refs: grantRefs(grant) })),
    }).finally(() => writing.delete(work));
    writing.add(work);
    if (writing.size >= 8) await Promise.race(writing);
  }
  await Promise.all(writing);
  await store.close();
}, 120_000);
afterAll(async () => {
  await curfew?.stop();
  directory.remove();
});

test('demand(42): it decides from the first request on, ended grants deny, and what is over is written down meanwhile', { timeout: 120_000 }, async () => {
  const fresh = await startCurfew();
  const freshMs = processorMs(fresh);
  await fresh.stop();
  curfew = await startCurfew({ directory: directory.path });
  const running = curfew;
  // As soon as an empty one, in time of processors: what a busy machine makes it wait does not count.
  expect(freshMs).toBeGreaterThan(0);
  expect(processorMs(running)).toBeLessThan(3 * freshMs + 2_000);
  const token = await running.mint(WHO);
  expect(await running.ask(token)).toMatchObject({ status: 403, reason: expect.stringMatching(/^grant\.expired|^task\./) });
  await running.grant(WHO);
  let answered = 0;
  const open = async (): Promise<number> => {
    const { body } = await running.admin('GET', `/v1/tasks?limit=200`);
    return body.items.filter((item: { state: string }) => item.state !== 'closed').length;
  };
  await until('what is over is closed', async () => {
    expect((await running.ask(token)).status).toBe(200);
    answered += 1;
    return (await open()) === 0;
  }, 60_000);
  expect(answered).toBeGreaterThan(0);
});
