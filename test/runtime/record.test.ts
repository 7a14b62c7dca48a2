/** The record of the real program: sealed while it runs, exported and verified on the command line, and a store that was put back does not start. */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { until } from '../support/until.ts';
import { runCurfew, startCurfew, temporaryDirectory, type Curfew } from './curfew.ts';

const WHO = 'spiffe://dev.local/ci/record';
const own = temporaryDirectory();
let curfew: Curfew | undefined;
afterEach(async () => {
  await curfew?.stop();
  own.remove();
});

test('demand(24), G3: the record holds; an edited export, a cut one and a store that was put back are found out', { timeout: 90_000 }, async () => {
  const { path } = own;
  const anchor = join(path, 'elsewhere/anchor');
  mkdirSync(join(path, 'elsewhere'));
  const config = join(path, 'more.yaml');
  writeFileSync(config, `record: { sealEveryMs: 200, anchors: [{ file: ${anchor} }] }\n`);
  const start = () => startCurfew({ directory: path, args: ['--config', config] });
  const cli = (args: readonly string[]) => runCurfew([...args, ...(curfew === undefined ? [] : ['--server', `http://127.0.0.1:${curfew.ports.admin}`])], { directory: path });
  const audit = async () => JSON.parse((await cli(['audit', 'status', '--json'])).stdout) as { sealedThrough: number; position: string; rollback: string; key: { kid: string } };

  curfew = await start();
  const { id } = await curfew.grant(WHO);
  await curfew.admin('POST', '/v1/revocations', { selector: { kind: 'grant', value: id }, reason: 'over' });
  await until('the revocation to be sealed', async () => (await audit()).sealedThrough >= 2, 30_000);
  const { rollback, key } = await audit();
  expect(rollback).toBe('detectable');
  writeFileSync(join(path, 'key.json'), JSON.stringify(key));
  const holds = await cli(['audit', 'verify', '--key', 'key.json', '--anchor', anchor]);
  expect(holds).toMatchObject({ code: 0 });
  expect(holds.stdout).toContain('The record holds: ');

  const { stdout: text } = await cli(['audit', 'export']);
  writeFileSync(join(path, 'export'), text);
  expect((await cli(['audit', 'verify', 'export', '--key', 'key.json'])).code).toBe(0);
  writeFileSync(join(path, 'edited'), text.replace('"reason":"over"', '"reason":"fine"'));
  const edited = await cli(['audit', 'verify', 'edited']);
  expect(edited.code).toBe(3);
  expect(edited.stdout).toMatch(/^The record does NOT hold: record \d+ is not what was sealed\./);
  writeFileSync(join(path, 'cut'), `${text.split('\n')[0]}\n`);
  expect((await cli(['audit', 'verify', 'cut'])).code).toBe(0);
  expect((await cli(['audit', 'verify', 'cut', '--anchor', anchor])).stdout).toContain('is missing: an anchor knows the record up to');
  expect((await cli(['audit', 'verify', '--key', 'edited'])).code).toBe(1);

  // Yesterday's copy of the store is put back under the same anchor.
  await curfew.stop();
  curfew = undefined;
  cpSync(join(path, '.curfew/store'), join(path, 'yesterday'), { recursive: true });
  curfew = await start();
  await curfew.grant(WHO);
  const before = readFileSync(anchor, 'utf8');
  await until('the new grant to be sealed and anchored', () => readFileSync(anchor, 'utf8').length > before.length, 30_000);
  await curfew.stop();
  curfew = undefined;
  rmSync(join(path, '.curfew/store'), { recursive: true });
  cpSync(join(path, 'yesterday'), join(path, '.curfew/store'), { recursive: true });
  const refused = await runCurfew(['dev', '--config', config, '--http-port', '0', '--grpc-port', '0', '--admin-port', '0'], { directory: path });
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain('the store was put back: the anchor');
});
