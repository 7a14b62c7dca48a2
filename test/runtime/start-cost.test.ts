/**
 * A start loads only what it needs, in few files: what a plain `curfew serve` reads is listed by the build, and what other
 * commands, stores and channels bring must not be among it. Ready within a second rests on this.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { repositoryRoot } from '../parts.ts';

interface BuiltFile {
  readonly bytes: number;
  readonly imports: readonly string[];
  readonly modules: readonly string[];
}

const built = JSON.parse(readFileSync(join(repositoryRoot, 'dist/bundled/contents.json'), 'utf8')) as Readonly<Record<string, BuiltFile>>;

const fileWith = (module: string): string => {
  const found = Object.keys(built).filter((name) => built[name]?.modules.includes(module));
  if (found.length !== 1) throw new Error(`${module} is in ${found.length} files`);
  return found[0] as string;
};

/** Every file that is read when these modules are loaded. */
const loadedWith = (modules: readonly string[]): readonly BuiltFile[] => {
  const names = new Set(modules.map(fileWith));
  for (const name of names) for (const next of built[name]?.imports ?? []) names.add(next);
  return [...names].flatMap((name) => built[name] ?? []);
};

/** What `src/entry.ts`, `src/command.ts` and `src/compose.ts` load on demand at a plain start with the embedded store. */
const SUPERVISOR = ['src/main.ts', 'src/command.ts', 'src/supervisor/worker-process.ts', 'src/supervisor/run.ts', 'src/supervisor/announce.ts', 'src/supervisor/supervisor.ts', 'src/store/embedded/open.ts'];
const WORKER = ['src/main.ts', 'src/supervisor/worker.ts', 'src/store/embedded/open.ts'];

/** Messages of zod in languages that nobody can set. */
const NEVER = ['node_modules/zod/v4/locales/de.js', 'node_modules/zod/v4/locales/zh-CN.js'];
/** Of other commands, stores and channels. */
const ON_DEMAND = ['node_modules/nodemailer/', 'node_modules/ioredis/', 'src/store/redis/open.ts', 'src/store/leased/open.ts', 'src/timeline/run-timeline.ts', 'src/operations/', 'src/gateways/envoy/grpc-body.ts'];
const DECIDES = ['node_modules/protobufjs/', 'node_modules/re2js/', 'node_modules/@open-policy-agent/', 'src/gateways/http/gateway.ts', 'src/grpc/server.ts', 'src/policy/load-policy.ts'];
const ADMINISTERS = ['node_modules/commander/', 'node_modules/@asteasolutions/', 'node_modules/@hono/zod-openapi/', 'node_modules/yaml/', 'src/admin/app.ts', 'src/cli/', 'src/policy/source/open-sources.ts', 'src/supervisor/supervisor.ts'];

describe.each([
  { name: 'supervisor', modules: SUPERVISOR, not: [...NEVER, ...ON_DEMAND, ...DECIDES], files: 85, bytes: 2_600_000 },
  { name: 'worker', modules: WORKER, not: [...NEVER, ...ON_DEMAND, ...ADMINISTERS], files: 70, bytes: 2_700_000 },
])('the $name of a plain start', ({ modules, not, files, bytes }) => {
  const loaded = loadedWith(modules);

  test.each(not)('does not load %s', (place) => {
    expect(loaded.flatMap((file) => file.modules.filter((module) => module.startsWith(place)))).toEqual([]);
  });

  test('reads few files', () => {
    expect(loaded.length).toBeLessThanOrEqual(files);
    expect(loaded.reduce((sum, file) => sum + file.bytes, 0)).toBeLessThanOrEqual(bytes);
  });
});

test('what is loaded on demand is there, by these names', () => {
  const all = Object.values(built).flatMap((file) => file.modules);
  for (const place of [...ON_DEMAND, ...DECIDES, ...ADMINISTERS]) expect(all.some((module) => module.startsWith(place)), place).toBe(true);
});
