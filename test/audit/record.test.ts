/** The sealed record: what was changed is named, what was cut off is seen by an anchor, a store that was put back does not start (G3, demand 24). */
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openAnchor, furthest, type Anchor } from '../../src/audit/record/anchor.ts';
import { recordConfig } from '../../src/audit/record/config.ts';
import { createCheckpointSigner, verifyCheckpoint, type CheckpointSigner } from '../../src/audit/record/checkpoint.ts';
import { checkRollback } from '../../src/audit/record/rollback.ts';
import { createSealer, type Sealer } from '../../src/audit/record/sealer.ts';
import { openRecordKey } from '../../src/audit/record/signing-key.ts';
import { verifyRecord } from '../../src/audit/record/verify.ts';
import { CALL, createWorld, terms, type World } from '../lifecycle/world.ts';

let world: World;
let signer: CheckpointSigner;
let sealer: Sealer;
let folder: string;
let anchor: Anchor;
const failures: unknown[] = [];

const sealerOver = (store: World['store'], over: { signer?: CheckpointSigner; anchors?: readonly Anchor[]; realms?: readonly string[] } = {}): Sealer =>
  createSealer({ store, clock: world.clock, signer, anchors: [anchor], realms: ['default'], holder: 'a', everyMs: 1_000, onError: (error) => failures.push(error), ...over });
const newSigner = (): Promise<CheckpointSigner> => createCheckpointSigner(generateKeyPairSync('ed25519').privateKey);

beforeEach(async () => {
  failures.length = 0;
  folder = mkdtempSync(join(tmpdir(), 'curfew-record-'));
  anchor = openAnchor({ file: join(folder, 'anchor') });
  signer = await newSigner();
  world = await createWorld();
  sealer = sealerOver(world.store);
});
afterEach(async () => {
  await world.close();
  rmSync(folder, { recursive: true, force: true });
});

const happen = async (times: number): Promise<void> => {
  for (let index = 0; index < times; index += 1) {
    const issued = await world.lifecycle.issueGrant(CALL, terms({ justification: `number ${index}` }));
    if (!issued.ok) throw new Error('not issued');
    if (index % 2 === 0) await world.lifecycle.revoke(CALL, { selector: { kind: 'grant', value: (issued.reply['grant'] as { id: string }).id }, reason: 'over' }, false);
  }
};
const exported = async (realm = 'default'): Promise<string[]> =>
  (await world.store.events(realm, { after: 0, limit: 10_000 })).map(({ bytes }) => Buffer.from(bytes).toString('utf8'));
const edited = (lines: readonly string[], at: number, change: (line: string) => string): string[] => lines.map((line, index) => (index === at ? change(line) : line));

test('demand(24): events are sealed, none twice; a quiet store gets no further seal, and what came since is shown as unsealed', async () => {
  await happen(6);
  expect(await sealer.seal()).toBe(9);
  expect(await sealer.seal()).toBe(0);
  await happen(2);
  const report = await verifyRecord(await exported(), { realm: 'default', epoch: world.store.epoch, trusted: new Set([signer.keyId]) });
  expect(report).toEqual({ records: 13, from: 1, through: 13, seals: 1, sealedThrough: 9, unsealed: 4, keys: [signer.keyId] });
  expect(await sealer.seal()).toBe(4);
  expect(await verifyRecord(await exported())).toMatchObject({ records: 14, seals: 2, sealedThrough: 13, unsealed: 1 });
  expect(failures).toEqual([]);
});

test('more than a batch is sealed in one round', { timeout: 120_000 }, async () => {
  await happen(400);
  expect(await sealer.seal()).toBe(601);
  expect(await verifyRecord(await exported())).toMatchObject({ records: 602, seals: 2, sealedThrough: 601 });
});

describe('G3: verify names the first bad record', () => {
  let lines: string[];
  beforeEach(async () => {
    await happen(6);
    await sealer.seal();
    await happen(2);
    await sealer.seal();
    lines = await exported();
    expect((await verifyRecord(lines)).fault).toBeUndefined();
  });
  test.each<[string, (lines: string[]) => string[], number, RegExp]>([
    ['one that was edited', (all) => edited(all, 4, (line) => line.replace('number', 'NUMBER').replace('over', 'OVER')), 5, /not what was sealed/],
    ['the very first, edited by a space', (all) => edited(all, 0, (line) => `${line} `), 1, /not what was sealed/],
    ['one that was deleted', (all) => all.toSpliced(3, 1), 4, /is missing/],
    ['two that were swapped', (all) => [...all.slice(0, 2), all[3] as string, all[2] as string, ...all.slice(4)], 3, /is missing/],
    ['one that is there twice', (all) => [...all.slice(0, 3), ...all.slice(2)], 4, /is missing/],
    ['one whose content stands at another place', (all) => edited(all, 2, () => (all[4] as string).replace('"sequence":5', '"sequence":3').replace(/"endingSequence":\d+,/, '')), 3, /not what was sealed/],
    ['an ending whose place was changed', (all) => edited(all, 1, (line) => line.replace('"endingSequence":1', '"endingSequence":7')), 2, /not what was sealed/],
    ['a seal whose hash was changed', (all) => edited(all, 9, (line) => line.replace(/"hash":"\w{4}/, '"hash":"0000')), 9, /not what was sealed/],
    ['a seal whose checkpoint is of another one', (all) => edited(all, 9, (line) => line.replace(/"checkpoint":"[^"]+"/, (/"checkpoint":"[^"]+"/.exec(all.at(-1) as string) as RegExpExecArray)[0])), 10, /checkpoint of something else/],
    ['a signature that was changed', (all) => edited(all, 9, (line) => line.replace(/\.[\w-]{8}([\w-]+")/, '.AAAAAAAA$1')), 10, /checkpoint/],
    ['what is no JSON', (all) => edited(all, 5, () => '{"sequence":6'), 6, /no event/],
    ['__proto__ as an event', (all) => edited(all, 5, () => '{"__proto__":{"sequence":6}}'), 6, /no sequence/],
  ])('%s', async (_name, change, sequence, what) => {
    const { fault } = await verifyRecord(change(lines));
    expect(fault?.what).toMatch(what);
    expect(fault?.sequence).toBe(sequence);
  });
  test('positive control: a change behind the last seal is not seen, which the report says', async () => {
    await happen(1);
    const all = await exported();
    const report = await verifyRecord(edited(all, all.length - 1, (line) => line.replace('over', 'OVER')));
    expect(report).toMatchObject({ unsealed: 3 });
    expect(report.fault).toBeUndefined();
  });
  test('a tail that was cut off, by an anchor and by nothing else', async () => {
    const known = await furthest(anchor, 'default');
    expect((await verifyRecord(lines.slice(0, 6))).fault).toBeUndefined();
    expect((await verifyRecord(lines.slice(0, 6), { anchored: known === undefined ? [] : [known] })).fault).toEqual({ sequence: 7, what: 'is missing: an anchor knows the record up to 13' });
  });
  test('a history that was written anew, with another key: by the anchor, and by the key', async () => {
    const other = await createWorld();
    const stranger = await newSigner();
    try {
      for (let index = 0; index < 14; index += 1) await other.lifecycle.openTask(CALL, { kind: 'ci', owner: 'team:x' });
      await sealerOver(other.store, { signer: stranger, anchors: [] }).seal();
      const forged = (await other.store.events('default', { after: 0, limit: 100 })).map(({ bytes }) => Buffer.from(bytes).toString('utf8'));
      expect((await verifyRecord(forged)).fault).toBeUndefined();
      expect((await verifyRecord(forged, { trusted: new Set([signer.keyId]) })).fault?.what).toMatch(/not trusted/);
      const known = await furthest(anchor, 'default');
      expect((await verifyRecord(forged, { anchored: known === undefined ? [] : [known] })).fault?.what).toMatch(/not what an anchor knows/);
      expect((await verifyRecord(forged, { epoch: world.store.epoch })).fault?.what).toMatch(/of epoch/);
      expect((await verifyRecord(lines, { realm: 'other' })).fault?.what).toMatch(/of realm default/);
    } finally {
      await other.close();
    }
  });
  test('a part is verified from behind an anchored checkpoint', async () => {
    const known = await verifyCheckpoint((JSON.parse(lines[9] as string) as { data: { checkpoint: string } }).data.checkpoint);
    if (!known.ok) throw new Error(known.fault);
    expect(await verifyRecord(lines.slice(9), { anchored: [known.checkpoint] })).toMatchObject({ from: 10, seals: 2, sealedThrough: 13, unsealed: 1 });
    expect((await verifyRecord(lines.slice(9))).fault?.what).toMatch(/no anchor says what came before/);
  });
});

test('two sealers at once make one chain', async () => {
  const second = sealerOver(world.store, { signer: await newSigner() });
  for (let round = 0; round < 5; round += 1) {
    await happen(2);
    await Promise.all([sealer.seal(), second.seal()]);
  }
  const report = await verifyRecord(await exported());
  expect(report.fault).toBeUndefined();
  expect(report).toMatchObject({ seals: expect.any(Number) as number, from: 1 });
});

describe('anchors', () => {
  test('a store that was put back, replaced or changed is refused at the start; the right one and one that has no anchor are not', async () => {
    await happen(3);
    await sealer.seal();
    expect(await checkRollback(world.store, ['default'], [anchor])).toBe('detectable');
    expect(await checkRollback(world.store, ['default'], [])).toBe('undetectable');
    const lines = readFileSync(join(folder, 'anchor'), 'utf8').trim().split('\n');
    const tell = async (over: object): Promise<void> => {
      const verified = await verifyCheckpoint(lines[0] as string);
      if (!verified.ok) throw new Error(verified.fault);
      writeFileSync(join(folder, 'anchor'), `${await signer.sign({ ...verified.checkpoint, ...over })}\n`);
    };
    await tell({ sequence: 900 });
    await expect(checkRollback(world.store, ['default'], [anchor])).rejects.toThrow(/was put back: .* knows position 900 of realm default, the store has 6/);
    await tell({ epoch: 'another' });
    await expect(checkRollback(world.store, ['default'], [anchor])).rejects.toThrow(/not the one that the anchor/);
    await tell({ hash: '1'.repeat(64) });
    await expect(checkRollback(world.store, ['default'], [anchor])).rejects.toThrow(/was changed/);
  });
  test('a checkpoint whose signature does not hold counts for nothing', async () => {
    await happen(1);
    await sealer.seal();
    const file = join(folder, 'anchor');
    writeFileSync(file, readFileSync(file, 'utf8').replace(/\.[\w-]{6}/, '.AAAAAA'));
    expect(await furthest(anchor, 'default')).toBeUndefined();
  });
  test('one that is away gets the newest checkpoint when it is back, and holds up nothing', async () => {
    const kept: string[] = [];
    let status = 503;
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        if (request.method === 'PUT' && status === 200) kept.push(Buffer.concat(chunks).toString());
        response.statusCode = request.method === 'GET' && kept.length === 0 ? 404 : status;
        response.end(request.method === 'GET' ? kept.at(-1) : undefined);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/{realm}`;
      const [config] = recordConfig.parse({ anchors: [{ url, insecureLoopback: true }] }).anchors;
      if (config === undefined) throw new Error('no anchor');
      const remote = openAnchor(config);
      const own = sealerOver(world.store, { anchors: [remote] });
      await happen(1);
      expect(await own.seal()).toBe(2);
      expect(String(failures[0])).toMatch(/answered 503/);
      await expect(checkRollback(world.store, ['default'], [remote])).resolves.toBe('detectable');
      status = 200;
      await own.seal();
      await own.seal();
      expect(kept).toHaveLength(1);
      expect(await furthest(remote, 'default')).toMatchObject({ sequence: 2, realm: 'default' });
    } finally {
      server.close();
    }
  });
  test('plain http beyond this machine, and a URL with credentials, are no anchors', () => {
    for (const url of ['http://anchor.example/x', 'https://user:pass@anchor.example/x', 'file:///tmp/x']) {
      expect(recordConfig.safeParse({ anchors: [{ url, insecureLoopback: true }] }).success).toBe(false);
    }
  });
});

test('the key is made once, for its owner only, and P-256 keys sign as well', async () => {
  const first = await createCheckpointSigner(openRecordKey(undefined, folder));
  const again = await createCheckpointSigner(openRecordKey(undefined, folder));
  expect(again.keyId).toBe(first.keyId);
  expect(statSync(join(folder, 'record-key.pem')).mode & 0o777).toBe(0o600);
  const p256 = join(folder, 'p256.pem');
  writeFileSync(p256, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const other = await createCheckpointSigner(openRecordKey(p256, folder));
  const checkpoint = { realm: 'default', epoch: 'e', sequence: 1, hash: '0'.repeat(64), at: 1 };
  expect(await verifyCheckpoint(await other.sign(checkpoint))).toEqual({ ok: true, checkpoint, keyId: other.keyId });
  writeFileSync(p256, generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }));
  await expect(createCheckpointSigner(openRecordKey(p256, folder))).rejects.toThrow(/Ed25519 or P-256/);
  writeFileSync(p256, 'SECRET-CANARY');
  expect(() => openRecordKey(p256, folder)).toThrow(/holds no private key/);
  expect(() => openRecordKey(p256, folder)).not.toThrow(/CANARY/);
});
