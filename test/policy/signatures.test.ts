/** Signatures of bundles: whatever OPA signs is taken, and nothing else (THREATS D6). */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { BUNDLE_LIMITS } from '../../src/policy/bundle/limits.ts';
import { readArchive } from '../../src/policy/bundle/read-archive.ts';
import { writeArchive } from '../../src/policy/bundle/write-archive.ts';
import { SIGNING_ALGORITHMS, signingConfig, type SigningAlgorithm } from '../../src/policy/signature/config.ts';
import { digestHere, type structuredDigest as digestOf } from '../../src/policy/signature/structured-digest.ts';
import { structuredText } from '../../src/policy/signature/structured-text.ts';
import { verifyFiles } from '../../src/policy/signature/verify-files.ts';
import { describeWith, repositoryRoot } from '../parts.ts';
import { compile } from '../store/compiled.ts';
import { findOpa, runOpa } from '../../scripts/opa.mjs';
import { filesOf, listOf, signed, tokenFor, withSignatures, type Bends, type Files } from './signed/forge.ts';
import { signingPair, type SigningPair } from './signed/keys.ts';

const folder = mkdtempSync(join(tmpdir(), 'curfew-signed-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const config = (by: SigningPair, more: Record<string, unknown> = {}, key: Record<string, unknown> = {}) =>
  signingConfig.parse({ keys: { release: { algorithm: by.algorithm, file: by.publicFile, ...key } }, ...more });

/** `signed by ...`, or the fault. */
const verdict = async (files: Files, by: SigningPair, more?: Record<string, unknown>, key?: Record<string, unknown>): Promise<string> => {
  try {
    const by1 = await verifyFiles(files, config(by, more, key));
    return by1 === undefined ? 'unsigned' : `signed by ${by1.keyId}`;
  } catch (error) {
    return (error as { fault?: string }).fault ?? String(error);
  }
};

/** What is awkward to hash: numbers beyond doubles, order by bytes, escapes, characters beyond the first plane. */
const AWKWARD = String.raw`{"n": 1.50, "b": 1E5, "s": "\u2028</>&\u0007\b\ud83d\ude00\u007f\/", "a": [1, null, true, [], {}], "z": 123456789012345678901234567890,
  "A": {"x": -0.0}, "é": 1, "😀": 2, "\uffee": 3, "": 4, "deep": [[[{"k": [{"b": 1, "a": 2}]}]]]}`;
const REGO = 'package p\n\nallow := true\n';
const FILES = filesOf({ 'p.rego': REGO, 'data.json': AWKWARD, 'sub/data.json': '{"k": 1}', '.manifest': '{"revision": "r1", "roots": [""]}' });

const es256 = signingPair(folder, 'ES256');
const other = signingPair(folder, 'ES256', 'other');

describe('a signature holds', () => {
  test.each(SIGNING_ALGORITHMS)('%s', async (algorithm) => {
    const by = signingPair(folder, algorithm);
    expect(await verdict(await signed(FILES, by), by)).toBe('signed by release');
    expect(await verdict(await signed(FILES, by), signingPair(folder, algorithm, `other-${algorithm}`))).toBe('signature.invalid');
  });
  test('with any hash that is still safe to sign', async () => {
    for (const [algorithm, hasher] of [['SHA-224', 'sha224'], ['SHA-384', 'sha384'], ['SHA-512', 'sha512'], ['SHA-512-224', 'sha512-224'], ['SHA-512-256', 'sha512-256']] as const) {
      expect(await verdict(await signed(FILES, es256, { files: listOf(FILES, algorithm, hasher) }), es256)).toBe('signed by release');
    }
  });
  test('whatever the white space and order of members of structured files', async () => {
    const token = await tokenFor(FILES, es256);
    const rewritten = new Map([...FILES, ['.manifest', Buffer.from('{"roots":[""],\n"revision":"r1"}')]]);
    expect(await verdict(withSignatures(rewritten, { signatures: [token] }), es256)).toBe('signed by release');
  });
  test('and its time is told', async () => {
    expect(await verifyFiles(await signed(FILES, es256, { claims: { iat: 1_700_000_000, iss: 'ci' } }), config(es256))).toEqual({ keyId: 'release', issuedAt: 1_700_000_000 });
  });
  test('the key is the configured one, else that of the header, else that of the payload', async () => {
    expect(await verdict(await signed(FILES, es256, { header: { kid: 'another' } }), es256)).toBe('signature.key');
    expect(await verdict(await signed(FILES, es256, { header: { kid: 'another' } }), es256, { keyId: 'release' })).toBe('signed by release');
    expect(await verdict(await signed(FILES, es256, { header: { kid: undefined }, claims: { keyid: 'release' } }), es256)).toBe('signed by release');
    expect(await verdict(await signed(FILES, es256, { header: { kid: undefined } }), es256)).toBe('signature.key');
  });
});

describe('D6: refused', () => {
  test('a signature that is stripped', async () => {
    expect(await verdict(FILES, es256)).toBe('signature.missing');
    expect(await verdict(FILES, es256, { keyId: 'release' })).toBe('signature.missing');
    expect(await verdict(FILES, es256, { required: false })).toBe('unsigned');
  });
  test('a signature that does not hold, also where none is required', async () => {
    expect(await verdict(await signed(FILES, other), es256, { required: false })).toBe('signature.invalid');
    await expect(verifyFiles(await signed(FILES, other), signingConfig.parse({}))).rejects.toMatchObject({ fault: 'signature.key' });
  });
  test('an extra file, a missing one, a changed one', async () => {
    const whole = await signed(FILES, es256);
    expect(await verdict(new Map([...whole, ['evil.rego', Buffer.from('package p\n')]]), es256)).toBe('signature.files');
    expect(await verdict(new Map([...whole].filter(([name]) => name !== 'sub/data.json')), es256)).toBe('signature.files');
    for (const name of FILES.keys()) {
      const changed = new Map([...whole, [name, Buffer.from(Buffer.from(whole.get(name)!).toString().replace('1', '2').replace('true', 'false'))]]);
      expect(await verdict(changed, es256), name).toBe('signature.files');
    }
  });
  test('another scope, on either side', async () => {
    const scoped = await signed(FILES, es256, { claims: { scope: 'write' } });
    expect(await verdict(scoped, es256)).toBe('signature.scope');
    expect(await verdict(scoped, es256, {}, { scope: 'write' })).toBe('signed by release');
    expect(await verdict(scoped, es256, { scope: 'write' }, { scope: 'read' })).toBe('signed by release');
    expect(await verdict(scoped, es256, { scope: 'read' }, { scope: 'write' })).toBe('signature.scope');
    expect(await verdict(await signed(FILES, es256), es256, {}, { scope: 'write' })).toBe('signature.scope');
  });
  test.each<[string, Bends]>([
    ['a file named twice', { files: [...listOf(FILES), listOf(FILES)[0]!] }],
    ['a file named twice with another hash', { files: [...listOf(FILES), { ...listOf(FILES)[0]!, hash: '00' }] }],
    ['a hash cut short', { files: listOf(FILES).map((one) => ({ ...one, hash: one.hash.slice(0, 8) })) }],
    ['MD5', { files: listOf(FILES, 'MD5', 'md5') }],
    ['SHA-1', { files: listOf(FILES, 'SHA-1', 'sha1') }],
    ['a hash of no name', { files: listOf(FILES).map((one) => ({ ...one, algorithm: '' })) }],
    ['no file at all', { files: [] }],
  ])('%s', async (_, bends) => {
    expect(await verdict(await signed(FILES, es256, bends), es256)).toBe('signature.files');
  });
  test('the algorithm `none`, and one that is not the key\'s', async () => {
    const [, payload] = (await tokenFor(FILES, es256)).split('.');
    for (const alg of ['none', 'None', 'HS256', 'RS256']) {
      const header = Buffer.from(JSON.stringify({ alg, kid: 'release' })).toString('base64url');
      for (const signature of ['', 'AAAA']) {
        expect(await verdict(withSignatures(FILES, { signatures: [`${header}.${payload}.${signature}`] }), es256), alg).toBe('signature.invalid');
      }
    }
  });
  test('a public key that is used as a secret', async () => {
    const rs256 = signingPair(folder, 'RS256');
    const confused: SigningPair = { algorithm: 'HS256', privateFile: rs256.publicFile, publicFile: rs256.publicFile };
    expect(await verdict(await signed(FILES, confused), rs256)).toBe('signature.invalid');
    // And should the configuration itself say so.
    expect(await verdict(await signed(FILES, confused), confused)).toBe('signature.key');
  });
  test('a signature or a list of files that is bent', async () => {
    const token = await tokenFor(FILES, es256);
    const [header, payload, signature] = token.split('.') as [string, string, string];
    const unbelieved = Buffer.from(JSON.stringify({ files: [] })).toString('base64url');
    const flipped = `${signature.slice(0, -2)}${signature.endsWith('AA') ? 'BB' : 'AA'}`;
    expect(await verdict(withSignatures(FILES, { signatures: [`${header}.${unbelieved}.${signature}`] }), es256)).toBe('signature.invalid');
    expect(await verdict(withSignatures(FILES, { signatures: [`${header}.${payload}.${flipped}`] }), es256)).toBe('signature.invalid');
    for (const document of [
      '', '{', '[]', '{}', { signatures: [] }, { signatures: [token, token] }, { signatures: [1] }, { signatures: token }, { signatures: [''] }, { signatures: ['a.b'] }, { signatures: ['a.b.c'] },
      { signatures: [token], plugin: 'mine' }, { signatures: [token], more: 1 }, `{"signatures": ["${token}"], "signatures": ["${token}"]}`,
    ]) expect(await verdict(withSignatures(FILES, document), es256), JSON.stringify(document).slice(0, 60)).toBe('signature.malformed');
  });
  test('a header that asks for more', async () => {
    expect(await verdict(await signed(FILES, es256, { header: { crit: ['b64'], b64: true } }), es256)).toBe('signature.malformed');
  });
  test('data that can be read in two ways, whoever signed it', async () => {
    for (const text of ['{"a": 1, "a": 2}', String.raw`{"a": 1, "\u0061": 2}`, '\ufeff{}', '{"a": 1} {}', '{"a": 1,}', '{"a": 01}', `${'['.repeat(100)}${']'.repeat(100)}`, '']) {
      const files = filesOf({ 'data.json': text });
      const listed = [{ name: 'data.json', hash: listOf(filesOf({ 'x.rego': text }))[0]!.hash, algorithm: 'SHA-256' }];
      expect(await verdict(await signed(files, es256, { files: listed }), es256), text).toBe('signature.files');
    }
    expect(structuredText(Buffer.from([0x22, 0xff, 0x22]), 64)).toBeUndefined();
  });
  test.each(['__proto__', 'constructor', 'toString'])('a key called %s that nobody configured', async (kid) => {
    expect(await verdict(await signed(FILES, es256, { header: { kid } }), es256)).toBe('signature.key');
  });
  test('keys that are none for their algorithm', async () => {
    const at = (name: string, text: string | Buffer): string => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const whole = await signed(FILES, es256);
    for (const file of [
      join(folder, 'nowhere'), folder, at('empty', ''), es256.privateFile, signingPair(folder, 'ES384').publicFile, signingPair(folder, 'RS256').publicFile, at('large', randomBytes(70_000)),
    ]) expect(await verdict(whole, es256, {}, { file }), file).toBe('signature.key');
    expect(await verdict(whole, es256, {}, { algorithm: 'HS256', file: at('short', 'secret') })).toBe('signature.key');
  });
});

test('large data is hashed in a thread: the loop goes on meanwhile, and the digest is the same', async () => {
  const built = compile(['src/policy/signature/structured-digest.ts', 'src/policy/signature/digest-thread.ts']);
  try {
    const { structuredDigest } = (await import(built.fileOf('src/policy/signature/structured-digest.ts'))) as { structuredDigest: typeof digestOf };
    const large = Buffer.from(JSON.stringify(Object.fromEntries(Array.from({ length: 60_000 }, (_, at) => [`key-${at}`, { owner: `team:${at}`, n: at * 1.5, t: 'é' }]))));
    expect(large.length).toBeGreaterThan(2_000_000);
    let turns = 0;
    const timer = setInterval(() => { turns += 1; }, 1);
    const digest = await structuredDigest({ bytes: large, depthMax: 64, hasher: 'sha256' });
    clearInterval(timer);
    expect(turns).toBeGreaterThan(5);
    expect(Buffer.from(digest ?? [])).toEqual(digestHere({ bytes: large, depthMax: 64, hasher: 'sha256' }));
    expect(await structuredDigest({ bytes: Buffer.concat([large, Buffer.from(' {}')]), depthMax: 64, hasher: 'sha256' })).toBeUndefined();
  } finally {
    built.remove();
  }
}, 60_000);

test('YAML data is hashed as OPA reads it, where something reads it; else it counts as not signed', async () => {
  const files = new Map([['data.yaml', Buffer.from('b: 1\na: [x]\n')]]);
  const listed = [{ name: 'data.yaml', hash: listOf(filesOf({ 'data.json': '{"a":["x"],"b":1}' }))[0]!.hash, algorithm: 'SHA-256' }];
  const whole = await signed(files, es256, { files: listed });
  expect(await verdict(whole, es256)).toBe('signature.files');
  expect(await verifyFiles(whole, config(es256), () => Promise.resolve('{"b":1,"a":["x"]}'))).toEqual({ keyId: 'release' });
  await expect(verifyFiles(whole, config(es256), () => Promise.reject(new Error('no toolchain')))).rejects.toMatchObject({ fault: 'signature.files' });
});

test('a configuration that requires signatures and names no key, or a key that is none of its own, is refused', () => {
  expect(signingConfig.safeParse({ required: true }).success).toBe(false);
  expect(signingConfig.safeParse({ keyId: 'release' }).success).toBe(false);
  expect(signingConfig.safeParse({ keys: { release: { algorithm: 'none', file: 'x' } } }).success).toBe(false);
  expect(signingConfig.safeParse({ keys: { release: { algorithm: 'EdDSA', file: 'x' } } }).success).toBe(false);
});

test('what is hashed of JSON is the same however it is written, and itself again', () => {
  const shuffled = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(shuffled);
    return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value).reverse().map(([name, inner]) => [name, shuffled(inner)])) : value;
  };
  fc.assert(fc.property(fc.json({ maxDepth: 6 }), (json) => {
    const value: unknown = JSON.parse(json);
    const text = structuredText(Buffer.from(json), 64);
    expect(JSON.parse(text ?? '')).toEqual(JSON.parse(Buffer.from(json).toString()));
    expect(structuredText(Buffer.from(text ?? ''), 64)).toBe(text);
    // Numbers are hashed as they stand, so only texts that write them alike are compared.
    const again = JSON.stringify(value);
    expect(structuredText(Buffer.from(JSON.stringify(shuffled(value), null, 2)), 64)).toBe(structuredText(Buffer.from(again), 64));
  }), { numRuns: 300 });
});

describe('what OPA signed, kept from an earlier day', () => {
  const kept = join(repositoryRoot, 'test/policy/signed');
  test.each(['sign-ES256', 'build-PS512'])('%s', async (name) => {
    const [, algorithm] = name.split('-') as [string, SigningAlgorithm];
    const files = await readArchive(readFileSync(join(kept, `${name}.tar.gz`)), BUNDLE_LIMITS);
    const by: SigningPair = { algorithm, privateFile: '', publicFile: join(kept, `${algorithm}.pub`) };
    expect(await verdict(files, by, { keyId: 'release', scope: 'write' })).toBe('signed by release');
  });
});

describeWith(['go'], 'the pinned OPA', () => {
  const source = join(folder, 'source');
  const write = (): void => {
    rmSync(source, { recursive: true, force: true });
    mkdirSync(join(source, 'sub'), { recursive: true });
    for (const [name, bytes] of FILES) writeFileSync(join(source, name), bytes);
  };
  const filesIn = (root: string): Files => new Map([...FILES.keys(), '.signatures.json'].map((name) => [name, readFileSync(join(root, name))]));

  test.each(SIGNING_ALGORITHMS)('signs with %s in `opa sign`, and it holds', async (algorithm) => {
    write();
    const by = signingPair(folder, algorithm);
    runOpa(findOpa(), ['sign', '--bundle', '.', '--signing-key', by.privateFile, '--signing-alg', algorithm], source);
    expect(await verdict(filesIn(source), by, { keyId: 'release' })).toBe('signed by release');
    writeFileSync(join(source, 'p.rego'), `${REGO}\nmore := 1\n`);
    expect(await verdict(filesIn(source), by, { keyId: 'release' })).toBe('signature.files');
  }, 120_000);

  test.each(SIGNING_ALGORITHMS)('builds with %s in `opa build --signing-key`, and it holds', async (algorithm) => {
    write();
    const by = signingPair(folder, algorithm);
    writeFileSync(join(folder, 'claims.json'), '{"scope": "write", "iat": 1700000000, "keyid": "release"}');
    const out = join(folder, 'built.tar.gz');
    runOpa(findOpa(), ['build', '--bundle', '.', '--signing-key', by.privateFile, '--signing-alg', algorithm, '--claims-file', join(folder, 'claims.json'), '--output', out], source);
    const files = await readArchive(readFileSync(out), BUNDLE_LIMITS);
    expect(await verifyFiles(files, config(by, { keyId: 'release', scope: 'write' }))).toEqual({ keyId: 'release', issuedAt: 1_700_000_000 });
    expect(await verdict(files, by, { keyId: 'release' })).toBe('signature.scope');
  }, 120_000);

  test('verifies what is signed here: the counterpart is the same', async () => {
    const archive = join(folder, 'ours.tar.gz');
    const check = (files: Files): string => {
      writeFileSync(archive, writeArchive([...files]));
      return runOpa(findOpa(), [
        'build', '--bundle', archive, '--verification-key', es256.publicFile, '--verification-key-id', 'release',
        '--signing-key', es256.privateFile, '--signing-alg', 'ES256', '--output', join(folder, 'again.tar.gz'),
      ]);
    };
    const whole = await signed(FILES, es256);
    expect(check(whole)).toBe('');
    expect(() => check(new Map([...whole, ['data.json', Buffer.from('{}')]]))).toThrow(/digest mismatch/);
  }, 120_000);
});
