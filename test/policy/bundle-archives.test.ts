/** D5: archives that were never made by a compiler. Each is refused whole, with the fault that it has, and nothing is written. */
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { BundleRefused, type BundleFault } from '../../src/policy/bundle/bundle-refused.ts';
import { readBundle } from '../../src/policy/bundle/read-bundle.ts';

const BLOCK = 512;

interface Entry {
  readonly name: string;
  readonly body?: string | Buffer;
  /** Type flag of the tar header. */
  readonly type?: string;
  readonly link?: string;
  /** Size in the header, when it lies. */
  readonly size?: number;
  readonly damage?: (header: Buffer) => void;
}

const checksum = (header: Buffer): void => {
  header.write('        ', 148, 'latin1');
  header.write(`${header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
};

const block = ({ name, body = '', type = '0', link = '', size, damage }: Entry): Buffer => {
  const bytes = Buffer.from(body);
  const header = Buffer.alloc(BLOCK);
  header.write(name, 0, 100, 'utf8');
  header.write('0000644\0', 100, 'latin1');
  header.write(`${(size ?? bytes.length).toString(8).padStart(11, '0')}\0`, 124, 'latin1');
  header.write(type, 156, 'latin1');
  header.write(link, 157, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  damage?.(header);
  checksum(header);
  return Buffer.concat([header, bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)]);
};

const tar = (entries: readonly Entry[], end = Buffer.alloc(2 * BLOCK)): Buffer => Buffer.concat([...entries.map(block), end]);
const archive = (...entries: readonly Entry[]): Buffer => gzipSync(tar(entries));

const manifest = (more: object = {}): Entry => ({
  name: '.manifest',
  body: JSON.stringify({ revision: 'r1', roots: [''], wasm: [{ entrypoint: 'a/b', module: '/policy.wasm' }], ...more }),
});
const wasm: Entry = { name: 'policy.wasm', body: '\0asm' };
const data: Entry = { name: 'data.json', body: '{"a":1}' };
const good = [manifest(), wasm, data] as const;
const pax = (records: Record<string, string>): Entry => ({
  name: 'PaxHeader',
  type: 'x',
  body: Object.entries(records)
    .map(([key, value]) => {
      const rest = ` ${key}=${value}\n`;
      const length = Buffer.byteLength(rest) + 2;
      return `${length}${rest}`;
    })
    .join(''),
});

const deep = (depth: number): string => `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`;

const hostile: readonly (readonly [string, BundleFault, () => Buffer])[] = [
  ['a path that climbs', 'entry.name', () => archive(...good, { name: '../policy.wasm', body: 'x' })],
  ['a path that climbs inside', 'entry.name', () => archive(...good, { name: 'a/../../b.rego', body: 'x' })],
  ['an absolute path elsewhere', 'entry.unexpected', () => archive(...good, { name: '/etc/passwd', body: 'x' })],
  ['a path that begins with two slashes', 'entry.name', () => archive(...good, { name: '//policy.rego', body: 'x' })],
  ['a backslash', 'entry.name', () => archive(...good, { name: '..\\policy.rego', body: 'x' })],
  ['a drive letter', 'entry.name', () => archive(...good, { name: 'C:policy.rego', body: 'x' })],
  ['NUL in a long name', 'entry.name', () => archive(...good, pax({ path: 'a\0b.rego' }), { name: 'x.rego', body: 'x' })],
  ['a control character', 'entry.name', () => archive(...good, { name: 'a\u001b[2J.rego', body: 'x' })],
  ['a name that is not UTF-8', 'entry.name', () => archive(...good, { name: 'a.rego', body: 'x', damage: (header) => header.write('\xff.rego\0', 0, 'latin1') })],
  ['a trailing dot that some systems drop', 'entry.name', () => archive(...good, { name: 'data.json.', body: 'x' })],
  ['a name that is too long', 'entry.name', () => archive(...good, { name: 'long', type: 'L', body: `${'a'.repeat(300)}.rego\0` }, { name: 'x.rego', body: 'x' })],
  ['an empty name', 'entry.name', () => archive(...good, { name: '', body: 'x' })],
  ['a symbolic link', 'entry.type', () => archive(...good, { name: 'x.rego', type: '2', link: '/etc/passwd' })],
  ['a hard link', 'entry.type', () => archive(...good, { name: 'x.rego', type: '1', link: 'policy.wasm' })],
  ['a character device', 'entry.type', () => archive(...good, { name: 'x.rego', type: '3' })],
  ['a block device', 'entry.type', () => archive(...good, { name: 'x.rego', type: '4' })],
  ['a fifo', 'entry.type', () => archive(...good, { name: 'x.rego', type: '6' })],
  ['a contiguous file', 'entry.type', () => archive(...good, { name: 'x.rego', type: '7' })],
  ['an unknown type', 'entry.type', () => archive(...good, { name: 'x.rego', type: 'S' })],
  ['the same name twice', 'entry.duplicate', () => archive(...good, data)],
  ['the same name with and without a slash', 'entry.duplicate', () => archive(...good, { name: '/data.json', body: '{}' })],
  ['the same name with ./', 'entry.duplicate', () => archive(...good, { name: './policy.wasm', body: 'x' })],
  ['names that differ by case', 'entry.duplicate', () => archive(...good, { name: 'a.rego', body: 'x' }, { name: 'A.rego', body: 'x' })],
  ['names that differ by normal form', 'entry.duplicate', () => archive(...good, { name: '\u00e9.rego', body: 'x' }, { name: 'e\u0301.rego', body: 'x' })],
  ['an upper-case twin of its own file', 'entry.unexpected', () => archive(...good, { name: 'DATA.JSON', body: '{}' })],
  ['a file that has no place', 'entry.unexpected', () => archive(...good, { name: 'run.sh', body: 'x' })],
  ['a data file in a folder', 'entry.unexpected', () => archive(...good, { name: 'a/data.json', body: '{}' })],
  ['a second module', 'entry.unexpected', () => archive(...good, { name: 'other.wasm', body: 'x' })],
  ['a delta bundle', 'entry.unexpected', () => archive(...good, { name: 'patch.json', body: '{"data":[]}' })],
  ['too many entries', 'entry.count', () => archive(...good, ...Array.from({ length: 1_000 }, (_, index) => ({ name: `${index}.rego` })))],
  ['a bomb of zeros', 'archive.ratio', () => archive(...good, { name: 'x.rego', body: Buffer.alloc(40 * 1024 * 1024) })],
  ['a bomb of empty folders', 'entry.count', () => archive(...good, ...Array.from({ length: 1_500 }, () => ({ name: 'd/', type: '5' })))],
  ['bytes behind the gzip data', 'archive.corrupt', () => Buffer.concat([archive(...good), Buffer.from('more')])],
  ['zeros behind the gzip data', 'archive.corrupt', () => Buffer.concat([archive(...good), Buffer.alloc(8)])],
  // OPA's reader ends where an archive ends; what stands behind would be seen by us alone.
  ['another archive behind its end', 'archive.corrupt', () => gzipSync(Buffer.concat([tar([manifest(), wasm]), tar([data])]))],
  ['another archive in a second gzip member', 'archive.corrupt', () => Buffer.concat([archive(manifest(), wasm), archive(data)])],
  ['another archive behind its end, hidden by a size that counts for some readers only', 'archive.corrupt', () => gzipSync(Buffer.concat([tar([...good, pax({ size: '0' }), { name: 'x.rego', body: tar([]) }]), tar([{ name: 'y.rego', body: 'x' }])]))],
  ['a folder with a size', 'archive.corrupt', () => archive(...good, { name: 'd/', type: '5', size: BLOCK })],
  ['half a gzip file', 'archive.corrupt', () => archive(...good).subarray(0, 60)],
  ['a damaged gzip file', 'archive.corrupt', () => { const bytes = archive(...good); bytes.writeUInt8(bytes.readUInt8(30) ^ 0xff, 30); return bytes; }],
  ['no gzip file', 'archive.corrupt', () => tar(good)],
  ['nothing', 'archive.corrupt', () => Buffer.alloc(0)],
  ['half a tar archive', 'archive.corrupt', () => gzipSync(tar(good).subarray(0, 700))],
  ['a tar archive without its end', 'archive.corrupt', () => gzipSync(tar(good, Buffer.alloc(0)))],
  ['a size beyond the archive', 'archive.corrupt', () => archive(manifest(), wasm, { ...data, size: 1_000_000 })],
  ['a negative size', 'archive.corrupt', () => archive(manifest(), wasm, { ...data, damage: (header) => header.write('-0000000001\0', 124, 'latin1') })],
  ['a huge size in binary', 'archive.corrupt', () => archive(manifest(), wasm, { ...data, damage: (header) => header.fill(0xff, 125, 136).writeUInt8(0x80, 124) })],
  ['no tar archive', 'archive.corrupt', () => gzipSync(Buffer.alloc(4 * BLOCK, 'x'))],
  ['no manifest', 'manifest.malformed', () => archive(wasm, data)],
  ['a manifest that is a list', 'manifest.malformed', () => archive({ name: '.manifest', body: '[]' }, wasm)],
  ['a manifest with a control character in its revision', 'manifest.malformed', () => archive(manifest({ revision: 'a\r\nb' }), wasm)],
  ['a module elsewhere', 'manifest.malformed', () => archive(manifest({ wasm: [{ entrypoint: 'a', module: '../x.wasm' }] }), wasm)],
  ['no module', 'wasm.missing', () => archive(manifest(), data)],
  ['data that is not JSON', 'data.malformed', () => archive(manifest(), wasm, { name: 'data.json', body: '{' })],
  ['data that is not UTF-8', 'data.malformed', () => archive(manifest(), wasm, { name: 'data.json', body: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]) })],
  ['data that is a list', 'data.malformed', () => archive(manifest(), wasm, { name: 'data.json', body: '[]' })],
  ['data too deep', 'data.malformed', () => archive(manifest(), wasm, { name: 'data.json', body: deep(70) })],
  ['data far too deep', 'data.malformed', () => archive(manifest(), wasm, { name: 'data.json', body: deep(100_000) })],
  ['data with a number that is none', 'data.malformed', () => archive(manifest(), wasm, { name: 'data.json', body: '{"a":1e400}' })],
  ['data outside its roots', 'roots.conflict', () => archive(manifest({ roots: ['b', 'a/c'] }), wasm, { name: 'data.json', body: '{"a":{"c":1,"d":2}}' })],
  ['roots over one another', 'roots.conflict', () => archive(manifest({ roots: ['a', 'a/b'] }), wasm)],
];

const faultOf = async (bytes: Buffer): Promise<unknown> => {
  try {
    await readBundle(bytes);
    return 'accepted';
  } catch (error) {
    if (!(error instanceof BundleRefused)) throw error;
    // eslint-disable-next-line no-control-regex
    expect(error.message, 'fit for a log').not.toMatch(/[\u0000-\u001f\u007f]/);
    return error.fault;
  }
};

describe('D5: hostile archives', () => {
  test.each(hostile)('%s is refused as %s', async (_what, fault, make) => {
    expect(await faultOf(make())).toBe(fault);
    expect(({} as Record<string, unknown>)['polluted'], 'no prototype was touched').toBeUndefined();
  });

  test('an archive over the size limit is refused before it is unpacked', async () => {
    expect(await faultOf(Buffer.alloc(33 * 1024 * 1024))).toBe('archive.too_large');
  });
});

describe('what is accepted', () => {
  test('the good archive, so that the refusals above are about what they name', async () => {
    const bundle = await readBundle(archive(...good));
    expect(bundle).toMatchObject({ revision: 'r1', entrypoints: ['a/b'], roots: [''], data: { a: 1 } });
    expect(Buffer.from(bundle.wasm).toString('latin1')).toBe('\0asm');
  });

  test("OPA's leading slashes, tar's ./ and folders, and Rego sources beside the module", async () => {
    const entries = [{ name: './', type: '5' }, { name: './.manifest', body: manifest().body ?? '' }, { name: '/policy.wasm', body: 'x' }, { name: 'a/', type: '5' }, { name: '/a/b.rego', body: 'package a' }, { name: './.signatures.json', body: '{}' }];
    const bundle = await readBundle(archive(...entries));
    expect(bundle.data).toEqual({});
    expect(Buffer.from(bundle.signatures ?? []).toString()).toBe('{}');
  });

  test('a manifest without a revision is known by its digest', async () => {
    const bundle = await readBundle(archive(manifest({ revision: '' }), wasm));
    expect(bundle.revision).toBe(`sha256-${bundle.digest.slice(0, 12)}`);
  });

  test('names that are special in JavaScript stay plain data', async () => {
    const bundle = await readBundle(archive(manifest(), wasm, { name: 'data.json', body: '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}' }));
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(Object.keys(bundle.data)).toEqual(['__proto__', 'constructor']);
  });
});
