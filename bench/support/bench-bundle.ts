/** The committed bundle with the entitlements that filled grants name: the same WASM, more data. */
import { readFileSync } from 'node:fs';
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
        tier: 'standard', scopes: [{ actions: ['GET', 'HEAD'], resource: { type: 'http', id: 'shop.local/orders/**' } }],
      },
    ]),
  );

export const benchBundle = async (root = repositoryRoot()): Promise<Buffer> => {
  const { readTar, writeBundle } = (await import(pathToFileURL(join(root, 'scripts', 'tar.mjs')).href)) as Tar;
  const files = readTar(readFileSync(join(root, 'bundles', 'curfew.tar.gz')));
  const data = JSON.parse((files.get('data.json') ?? Buffer.from('{}')).toString('utf8')) as { curfew: { entitlements: object } };
  data.curfew.entitlements = entitlements();
  files.set('data.json', Buffer.from(JSON.stringify(data)));
  return writeBundle(files);
};
