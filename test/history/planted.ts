/**
 * Builds of the program with one mistake each, made from the built program by changing its text: nothing of them is in the program
 * itself, so no setting can switch one on. A place that is not there any more, or there twice, is an error.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../parts.ts';
import type { PlayOptions } from './play.ts';
import type { WorldKind } from './world.ts';

interface Change {
  /** Below `dist`. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

export interface Planted {
  readonly name: string;
  readonly world: WorldKind;
  /** Names of the faults under which it shows. */
  readonly faults: readonly string[];
  readonly changes: readonly Change[];
  readonly play?: PlayOptions;
}

const HELD_UP = ['what a node is sent is held up'];
const AWAY = ['a node is cut off', 'what a node sends is held up'];
const PROMPTLY: PlayOptions = { promptly: true };
const READ = 'const answer = await readStore(() => store.facts(request), startedMs);';
const COMMITTED = 'onRealm(writes, commitTimeoutMs, COMMIT, asked.realm, Object.values(realmKeys(asked.realm)), [epoch, known?.endings.sequence ?? 0, ...args])';

export const PLANTED: readonly Planted[] = [
  {
    name: 'no re-check before the answer', world: 'strict', faults: HELD_UP, play: PROMPTLY,
    changes: [{ file: 'decision/decide.js', from: 'youngEnough(progress, clock,', to: 'true || youngEnough(progress, clock,' }],
  },
  {
    name: 'facts count from their receipt', world: 'strict', faults: HELD_UP, play: PROMPTLY,
    changes: [{ file: 'decision/decide.js', from: READ, to: `${READ} progress.factsReadMs = clock.monotonicMs(); progress.factsReadAt = clock.now().latest;` }],
  },
  {
    name: 'what ends access returns as soon as it is committed', world: 'strict', faults: ['what a node is sent comes in bursts'], play: PROMPTLY,
    changes: [{ file: 'lifecycle/settle.js', from: 'left = ms; left > 0;', to: 'left = 0; left > 0;' }],
  },
  {
    name: 'a command is confirmed although the store did not confirm it', world: 'strict', faults: ['commits of a node are lost', 'connections are reset before a commit arrives'],
    changes: [{ file: 'store/redis/store.js', from: COMMITTED, to: `${COMMITTED}.catch(() => ["committed", "1", String(Date.now()), "", "0", "", "0", "", ""].map((text) => Buffer.from(text)))` }],
  },
  {
    name: 'weaker settings of the server are not noticed', world: 'strict', faults: ['CONFIG SET maxmemory-policy'],
    changes: [{ file: 'store/redis/settings.js', from: 'if (evicting !== undefined)', to: 'if (evicting === null)' }],
  },
  {
    name: 'facts come from another connection than the renewal', world: 'moved', faults: ['a node reads from the old primary and commits to the new one'], play: { ...PROMPTLY, endsFromMs: 500 },
    changes: [{ file: 'store/redis/fence.js', from: 'const same = Number(number) >= lease.number;', to: 'const same = true;' }],
  },
  {
    name: "the server's clock is believed whatever ours says", world: 'strict', faults: ["the server's wall clock is set"],
    changes: [{ file: 'time/authority-clock.js', from: 'trusted && skewMs <= maxSkewMs', to: 'trusted' }],
  },
  {
    name: 'endings are compared by number only', world: 'strict', faults: ['the server is put back, and written to by others'],
    changes: [{ file: 'store/redis/witness.js', from: 'hashThen === known.endings.hash', to: 'true' }],
  },
  {
    name: 'a strict node does not forget what changed', world: 'strict', faults: ['nothing'],
    changes: [{ file: 'store/leased/proven.js', from: 'memory.apply(followed);', to: 'memory.apply({ ...followed, changes: [] });' }],
  },
  {
    // `>` for `>=` in the judgement alone lets nothing through: which rows are read, the guard and the last look at the clock refuse that millisecond too.
    name: 'a grant counts a moment longer than it lasts', world: 'embedded', faults: ['nothing'], play: { shorts: 4 },
    changes: [
      { file: 'domain/judge-grant.js', from: 'now.latest < link.expiresAt', to: 'now.latest - 100 < link.expiresAt' },
      { file: 'decision/gather.js', from: 'endsAfter: wanted.now.latest', to: 'endsAfter: wanted.now.latest - 100' },
      { file: 'domain/judge-grant.js', from: 'let until = link.expiresAt;', to: 'let until = link.expiresAt + 100;' },
    ],
  },
  {
    // Wrong are only the later questions of a turn: lmdb-js resets it by a timer. That every worker is asked in a turn of its own whether its answers have left (ADR 0040) hides it from
    // whoever ends something, so this build does not ask them. That change by itself is not found within a minute: it is the transaction that lets old answers through.
    name: 'the read transaction is not reset before a read', world: 'embedded', faults: ['workers are frozen again and again'], play: { ...PROMPTLY, lines: 16 },
    changes: [
      { file: 'store/embedded/store.js', from: 'root.resetReadTxn();', to: '' },
      { file: 'supervisor/answers-left.js', from: 'new Set(all())', to: 'new Set()' },
    ],
  },
  {
    name: 'an approval that waited does not see what was revoked before', world: 'embedded', faults: ['nothing'], play: { queued: 2 },
    changes: [
      { file: 'domain/lifecycle/request-rules.js', from: 'const covered = coveredBy(loaded, requestSelectors(request, realm), record.created.sequence);', to: 'const covered = undefined;' },
      { file: 'domain/lifecycle/request-rules.js', from: 'root: record.created.sequence, ', to: '' },
    ],
  },
  {
    name: 'a lease counts from its receipt', world: 'leased', faults: ['a node is very far away', 'what a node is sent is held up'], play: PROMPTLY,
    changes: [{ file: 'store/leased/lease.js', from: 'held = sent;', to: 'held = { sentMs: clock.monotonicMs(), sentAt: clock.now().latest };' }],
  },
  {
    name: 'a lease has no end', world: 'leased', faults: AWAY, play: PROMPTLY,
    changes: [{ file: 'store/leased/lease.js', from: 'clock.monotonicMs() - held.sentMs < leaseMs && clock.now().latest - held.sentAt < leaseMs', to: 'true' }],
  },
  {
    name: 'holders have the same id', world: 'leased', faults: AWAY, play: PROMPTLY,
    changes: [{ file: 'store/redis/leases.js', from: "const holder = randomBytes(12).toString('base64url');", to: "const holder = 'holder';" }],
  },
  {
    name: "rows of holders end by the server's clock", world: 'leased', faults: AWAY, play: PROMPTLY,
    changes: [{ file: 'store/redis/scripts/renew.js', from: "return {'renewed',", to: "redis.call('PEXPIRE', holders, 60)\nreturn {'renewed'," }],
  },
  {
    name: 'events are acknowledged before they are applied', world: 'leased', faults: ['nothing'],
    changes: [{ file: 'store/leased/lease.js', from: 'memory.apply(followed);', to: 'setTimeout(() => memory.apply(followed), memory.position === undefined ? 0 : 300);' }],
  },
  {
    name: 'what ends access does not wait for holders', world: 'leased', faults: AWAY, play: PROMPTLY,
    changes: [{ file: 'store/leased/enforce.js', from: 'while (!known || pending.size > 0)', to: 'while (false)' }],
  },
];

/** The entry of a build with this mistake; `remove` it afterwards. */
export const buildPlanted = ({ name, changes }: Pick<Planted, 'name' | 'changes'>): { readonly entry: string; remove(): void } => {
  // Inside the repository, so that packages are found.
  const folder = mkdtempSync(join(repositoryRoot, '.cache/planted-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    cpSync(join(repositoryRoot, 'dist'), join(folder, 'dist'), { recursive: true });
    // The program as the compiler made it, module by module: changes in few large files would depend on how those are cut.
    writeFileSync(join(folder, 'dist/main.js'), "import './entry.js';\n");
    for (const part of ['bundles', 'policies', 'package.json']) symlinkSync(join(repositoryRoot, part), join(folder, part));
    for (const { file, from, to } of changes) {
      const path = join(folder, 'dist', file);
      const text = readFileSync(path, 'utf8');
      const places = text.split(from).length - 1;
      if (places !== 1) throw new Error(`planted "${name}": ${places} places in ${file} instead of one`);
      writeFileSync(path, text.replace(from, () => to));
    }
    return { entry: join(folder, 'dist/main.js'), remove };
  } catch (error) {
    remove();
    throw error;
  }
};
