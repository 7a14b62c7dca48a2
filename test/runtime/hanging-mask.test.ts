/** A mask rule that hangs costs its worker once, and from then on only the content of that workload's records: nobody is denied for it, and nothing unmasked is written. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildToolchain } from '../../scripts/toolchain.mjs';
import { usualEntrypoints } from '../../src/policy/source/entrypoints.ts';
import { openToolchain } from '../../src/policy/toolchain/open-toolchain.ts';
import { describeWith, repositoryRoot } from '../parts.ts';
import { until } from '../support/until.ts';
import { startCurfew, temporaryDirectory, type Curfew } from './curfew.ts';

const KILLER = 'spiffe://dev.local/ci/masked';
const OTHER = 'spiffe://dev.local/ci/beside';
const CANARY = 'canary-in-a-path';

describeWith(['go'], 'D1: a mask rule that takes practically for ever', () => {
  const directory = temporaryDirectory();
  let curfew: Curfew;
  const records = (): readonly any[] => readFileSync(join(directory.path, '.curfew/decisions.jsonl'), 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line));
  beforeAll(async () => {
    buildToolchain();
    const [pack, opened] = [join(repositoryRoot, 'policies/curfew'), await openToolchain()];
    const sources = {
      ...Object.fromEntries(readdirSync(pack).filter((name) => !name.includes('_test') && !name.startsWith('.')).map((name) => [name, readFileSync(join(pack, name), 'utf8')])),
      'log.rego': `package system.log

mask contains "/input" if {
	contains(input.input.curfew.resource.id, "${CANARY}")
	s := {x | some x in numbers.range(1, 1000)}
	some a in s
	some b in s
	some c in s
	some d in s
	some e in s
	e == input.never
}
`,
    };
    writeFileSync(join(directory.path, 'bundle.tar.gz'), await opened.compile(sources, { entrypoints: usualEntrypoints(sources) }));
    await opened.close();
    curfew = await startCurfew({ directory: directory.path, workers: 1, args: ['--set', 'policy.bundle.file=bundle.tar.gz'] });
  }, 600_000);
  afterAll(async () => {
    await curfew?.stop();
    directory.remove();
  });

  test('the worker is replaced once; then that workload is allowed as before and its records have no content; another workload notices nothing', async () => {
    const scopes = [{ actions: ['GET'], resource: { type: 'http', id: 'shop.local/**' } }];
    for (const workload of [KILLER, OTHER]) await curfew.grant(workload, { scopes });
    const [killer, other] = [await curfew.mint(KILLER), await curfew.mint(OTHER)];
    const before = curfew.workers();
    await curfew.ask(killer, `/${CANARY}`, { connection: 'close' }).catch(() => undefined);
    await until('the worker to be replaced', async () => !before.includes(curfew.workers()[0] ?? 0) && (await curfew.metrics()).includes('curfew_workers_ready 1\n'));
    const after = curfew.workers();
    for (let again = 0; again < 5; again += 1) expect((await until('an answer', () => curfew.ask(killer, `/${CANARY}`, { connection: 'close' }).catch(() => undefined))).status).toBe(200);
    expect((await curfew.ask(other, '/orders/1')).status).toBe(200);
    const held = await until('the records', () => {
      const all = records();
      return all.some(({ workload }) => workload === OTHER) && all.filter(({ maskFailed }) => maskFailed !== undefined).length >= 5 ? all : undefined;
    });
    expect(curfew.workers()).toEqual(after);
    const failed = held.filter(({ maskFailed }) => maskFailed !== undefined);
    for (const record of failed) expect(record).toMatchObject({ workload: KILLER, result: { allow: true }, erased: ['/input', '/result'], maskFailed: 'data.system.log took too long before' });
    for (const record of failed) expect(record).not.toHaveProperty('input');
    expect(held.find(({ workload }) => workload === OTHER)).toHaveProperty('input');
    expect(await curfew.metrics()).toMatch(/curfew_worker_restarts_total\{cause="watchdog"\} 1\n/);
    await until('it to be said', () => curfew.stderr().includes('written without input and result from now on'));
  }, 120_000);
});
