import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { describeWith, repositoryRoot } from '../parts.ts';

const ENTRY = fileURLToPath(new URL('../../dist/demo/main.js', import.meta.url));

const tour = async (flags: readonly string[] = [], entry = ENTRY): Promise<{ code: number | null; text: string }> => {
  const child = spawn(process.execPath, [entry, ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => void child.once('exit', resolve));
  return { code, text };
};

const CAUSES = ['the end of the grant', 'the close of the ticket', 'the missed beat', 'the call of revoke', 'the end of the timer'];

const expectRight = ({ code, text }: { code: number | null; text: string }): void => {
  expect(text).toContain('Every answer was right.');
  for (const cause of CAUSES) expect(text).toMatch(new RegExp(`^  ${cause} +\\d+ ms$`, 'm'));
  expect(code).toBe(0);
};

describeWith(['envoy'], 'demand(61), demand(62), demand(63): the tour through a real Envoy', () => {
  test('shows every way in which access ends, and finds every answer right', { timeout: 120_000 }, async () => {
    const { code, text } = await tour();
    expect(text).toContain('through a real Envoy');
    const [, reached, allowed] = /^(\d+) requests reached the service, (\d+) were allowed\.$/m.exec(text) ?? [];
    expect(Number(reached)).toBeGreaterThan(0);
    expect(reached).toBe(allowed);
    expectRight({ code, text });
  });
});

describe('the tour without an Envoy', () => {
  test('asks over HTTP and finds every answer right', { timeout: 120_000 }, async () => {
    const { code, text } = await tour(['--http']);
    expect(text).toContain('over HTTP');
    expectRight({ code, text });
  });

  test('positive control: a Curfew with a bug is found out, and the exit code says so', { timeout: 90_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'curfew-demo-bug-'));
    try {
      cpSync(join(repositoryRoot, 'dist'), join(folder, 'dist'), { recursive: true });
      for (const name of ['node_modules', 'bundles', 'policies', 'package.json']) symlinkSync(join(repositoryRoot, name), join(folder, name));
      // Access ends when the ticket closes, but is said to be paused; wherever the build has put that rule.
      let planted = 0;
      for (const name of readdirSync(join(folder, 'dist'), { recursive: true, encoding: 'utf8' }).filter((one) => one.endsWith('.js'))) {
        const file = join(folder, 'dist', name);
        const before = readFileSync(file, 'utf8');
        const bug = before.replaceAll(/(?<=return task\.closedBecause \?\? .)task\.closed/g, 'task.paused');
        if (bug === before) continue;
        planted += 1;
        writeFileSync(file, bug);
      }
      expect(planted).toBeGreaterThan(0);
      const { code, text } = await tour(['--http'], join(folder, 'dist/demo/main.js'));
      expect(text).toMatch(/^WRONG {2}2\. An AI agent works on a ticket.*: it must flip to task\.closed$/m);
      expect(text).toMatch(/^\d+ answers were wrong\.$/m);
      expect(text).not.toContain('Every answer was right.');
      expect(code).toBe(1);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
