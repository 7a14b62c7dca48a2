/** The committed bundle, and the folder it is made of, with the entitlements that filled grants name: the same rules, more data. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { repositoryRoot } from '../harness/run-bench.ts';

interface Tar {
  readTar(archive: Buffer): Map<string, Buffer>;
  writeBundle(entries: Iterable<readonly [string, Buffer]>): Buffer;
}

/** As many as `fillStore` draws from. */
const ENTITLEMENTS = 50;

const entitlements = (): object =>
  Object.fromEntries(
    Array.from({ length: ENTITLEMENTS }, (_, index) => [
      `shop-orders-${index}`,
      {
        description: 'Reads orders of the shop.', owner: 'team:shop', fallbackOwner: 'team:platform', model: 'time-boxed', direct: true, maxTtlMs: 3_600_000,
        alerts: ['team:platform'], orphan: { unusedMs: 2_592_000_000, action: 'flag' }, tier: 'standard', scopes: [{ actions: ['GET', 'HEAD'], resource: { type: 'http', id: 'shop.local/orders/**' } }],
      },
    ]),
  );

interface PackData {
  readonly curfew: { entitlements: object; bench: number };
}

/** `round` makes it another bundle. */
const dataOf = (text: string, round: number): string => {
  const data = JSON.parse(text) as PackData;
  // Beside those of the pack, which its own tests speak of.
  data.curfew.entitlements = { ...data.curfew.entitlements, ...entitlements() };
  data.curfew.bench = round;
  return JSON.stringify(data);
};

/** Everything at the first call; `round` makes it another policy. */
export const writeBenchFolder = (folder: string, round: number, root = repositoryRoot()): void => {
  const pack = join(root, 'policies', 'curfew');
  if (round === 0) cpSync(pack, folder, { recursive: true });
  writeFileSync(join(folder, 'data.json'), dataOf(readFileSync(join(pack, 'data.json'), 'utf8'), round));
};

export const benchBundle = async (root = repositoryRoot(), round = 0): Promise<Buffer> => {
  const { readTar, writeBundle } = (await import(pathToFileURL(join(root, 'scripts', 'tar.mjs')).href)) as Tar;
  const files = readTar(readFileSync(join(root, 'bundles', 'curfew.tar.gz')));
  files.set('data.json', Buffer.from(dataOf((files.get('data.json') ?? Buffer.from('{}')).toString('utf8'), round)));
  return writeBundle(files);
};
