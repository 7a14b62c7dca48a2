/**
 * Puts what the program loads into few files: nine hundred small modules take a process longer to find and read than to run.
 * Written over what the compiler made of the entries; every other file of dist/ stays as it is, and works the same.
 */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, posix, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const src = join(root, 'src');
const dist = join(root, 'dist');
const CHUNKS = 'bundled';

/** What a process or a thread is started with. */
const ENTRIES = ['main', 'supervisor/policy-thread', 'supervisor/watchdog/watch-thread', 'policy/trial/trial-thread', 'policy/signature/digest-thread'];
/** Has a native part that it looks for beside itself. */
const NOT_BUNDLED = ['lmdb'];

/** Files that our modules name by `import.meta.url` lie where the compiler's output would have found them. */
const OWN_PLACE = /"place:\/\/([^"]+)"/g;
const ownPlaces = {
  name: 'own-places',
  transform: {
    filter: { code: 'import.meta.url' },
    handler: (code, id) => {
      const place = relative(src, id).replaceAll('\\', '/').replace(/\.ts$/, '.js');
      return place.startsWith('..') ? null : { code: code.replaceAll('import.meta.url', JSON.stringify(`place://${place}`)), map: null };
    },
  },
  renderChunk: (code, { fileName }) => ({
    code: code.replaceAll(OWN_PLACE, (_, place) => `new URL(${JSON.stringify(posix.relative(posix.dirname(fileName), place))}, import.meta.url)`),
    map: null,
  }),
};

/** zod exports its messages in fifty languages, of which one is used: the rest would be read at every start. */
const oneLanguage = {
  name: 'one-language',
  load: { filter: { id: /[\\/]zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, handler: () => "export { default as en } from './en.js';" },
};

/** Small modules that every process loads, and that load nothing but each other: one file in place of one each. */
const SMALL = /[\\/]src[\\/](domain[\\/](grant|instant|invisible|json|loopback|selector|spiffe-id)|store[\\/](commit-checks|event|leases|port|write-whole))\.ts$/;

const bundle = await rolldown({
  cwd: root,
  input: Object.fromEntries(ENTRIES.map((name) => [name, join(src, `${name}.ts`)])),
  platform: 'node',
  external: (id) => NOT_BUNDLED.some((name) => id === name || id.startsWith(`${name}/`)),
  plugins: [ownPlaces, oneLanguage],
});
const { output } = await bundle.write({
  dir: dist, format: 'esm', entryFileNames: '[name].js', chunkFileNames: `${CHUNKS}/[name].js`, sourcemap: false,
  codeSplitting: { groups: [{ name: 'words', test: SMALL }] },
});
await bundle.close();
// Afterwards, so that whoever starts meanwhile finds what it needs.
const made = new Set(output.map(({ fileName }) => fileName));
for (const name of readdirSync(join(dist, CHUNKS))) if (!made.has(`${CHUNKS}/${name}`)) rmSync(join(dist, CHUNKS, name));

/** What each file is made of, and loads with it: for whoever asks what a start costs (test/runtime/start-cost.test.ts). */
const contents = output.filter(({ type }) => type === 'chunk').map(({ fileName, imports, modules, code }) => [fileName, {
  bytes: Buffer.byteLength(code),
  imports: imports.filter((name) => name.endsWith('.js')),
  modules: Object.keys(modules).filter((id) => id.startsWith(root)).map((id) => relative(root, id).replaceAll('\\', '/')),
}]);
writeFileSync(join(dist, CHUNKS, 'contents.json'), JSON.stringify(Object.fromEntries(contents), null, 1));
