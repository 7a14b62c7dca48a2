/** I7: a commit is on disk before it is acknowledged, seen from outside: by the system calls of a real process. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { describeWith, requirePart } from '../parts.ts';
import { compile } from './compiled.ts';

const CALLS = 'openat,close,dup,write,writev,pwrite64,pwritev,pwritev2,fdatasync,fsync,msync,sync_file_range,ftruncate,fallocate';
const COMMITS = 20;

interface Verdict {
  readonly acknowledged: number;
  /** Acknowledgements before which there was no complete commit, or after which data was still unsynced. */
  readonly early: number;
}

/** Lines of `strace -f` in the order in which calls were completed: `{call, rest}`, the parts of an interrupted one joined. */
const completedCalls = (trace: string): { readonly call: string; readonly rest: string }[] => {
  const begun = new Map<string, string>();
  const calls = [];
  for (const line of trace.split('\n')) {
    const [, pid, text] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    if (pid === undefined || text === undefined) continue;
    if (text.endsWith('<unfinished ...>')) {
      begun.set(pid, text.slice(0, -'<unfinished ...>'.length));
      continue;
    }
    const whole = text.startsWith('<... ') ? `${begun.get(pid) ?? ''}${text.replace(/^<\.\.\. \w+ resumed>/, '')}` : text;
    const [, call, rest] = /^(\w+)\((.*)$/.exec(whole) ?? [];
    if (call !== undefined && rest !== undefined) calls.push({ call, rest });
  }
  return calls;
};

/** A commit of LMDB is data written, `fdatasync`, then the meta page through a descriptor opened with `O_DSYNC`. */
const judge = (trace: string): Verdict => {
  const [data, meta] = [new Set<string>(), new Set<string>()];
  let [dirty, commits, acknowledged, early] = [false, 0, 0, 0];
  for (const { call, rest } of completedCalls(trace)) {
    const descriptor = /^(\d+)/.exec(rest)?.[1] ?? '';
    const result = /= (-?\d+)[^=]*$/.exec(rest)?.[1] ?? '';
    if (call === 'openat' && rest.includes('/data.mdb"') && Number(result) >= 0) (/O_DSYNC|O_SYNC/.test(rest) ? meta : data).add(result);
    else if (call === 'close') [data, meta].forEach((set) => set.delete(descriptor));
    else if (/write/.test(call) && data.has(descriptor)) dirty = true;
    else if (/^f(data)?sync$/.test(call) && data.has(descriptor) && result === '0') dirty = false;
    else if (/write/.test(call) && meta.has(descriptor) && Number(result) > 0 && !dirty) commits += 1;
    else if (call === 'write' && rest.startsWith('1, "ack ')) {
      acknowledged += 1;
      if (dirty || commits === 0) early += 1;
      commits = 0;
    }
  }
  return { acknowledged, early };
};

describeWith(['strace'], 'durability, traced', () => {
  const root = mkdtempSync(join(tmpdir(), 'curfew-trace-'));
  const compiled = compile(['test/store/writer.ts', 'test/store/unsynced-writer.ts']);
  afterAll(() => {
    compiled.remove();
    rmSync(root, { recursive: true, force: true });
  });
  /** `undefined` where the system lets nobody trace. */
  const traced = (name: string, ...args: string[]): Verdict | undefined => {
    const output = join(root, `${name}.txt`);
    const run = spawnSync(requirePart('strace'), ['-f', '-e', `trace=${CALLS}`, '-o', output, process.execPath, ...args], { encoding: 'utf8', timeout: 60_000 });
    if (/ptrace|PTRACE|not permitted/.test(run.stderr) && !run.stdout.includes('ack ')) return undefined;
    expect(run.status, run.stderr).toBe(0);
    return judge(readFileSync(output, 'utf8'));
  };

  test('I7: the sync of every commit is complete before its acknowledgement is written', { timeout: 90_000 }, (context) => {
    const options = JSON.stringify({ first: 1, count: COMMITS, atOnce: 1, early: false });
    const verdict = traced('store', compiled.fileOf('test/store/writer.ts'), join(root, 'store'), options);
    context.skip(verdict === undefined, 'this system lets no process be traced (ptrace)');
    expect(verdict).toEqual({ acknowledged: COMMITS, early: 0 });
  });

  test('control: the same trace catches a writer that acknowledges what is not synced', { timeout: 90_000 }, (context) => {
    const verdict = traced('unsynced', compiled.fileOf('test/store/unsynced-writer.ts'), join(root, 'unsynced'));
    context.skip(verdict === undefined, 'this system lets no process be traced (ptrace)');
    expect(verdict).toEqual({ acknowledged: 20, early: 20 });
  });
});
