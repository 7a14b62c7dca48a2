import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { describeWith } from '../parts.ts';

const ENTRY = fileURLToPath(new URL('../../dist/demo/main.js', import.meta.url));

const tour = async (...flags: string[]): Promise<{ code: number | null; text: string }> => {
  const child = spawn(process.execPath, [ENTRY, ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
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
  test('shows every way in which access ends, and finds every answer right', { timeout: 60_000 }, async () => {
    const { code, text } = await tour();
    expect(text).toContain('through a real Envoy');
    const [, reached, allowed] = /^(\d+) requests reached the service, (\d+) were allowed\.$/m.exec(text) ?? [];
    expect(Number(reached)).toBeGreaterThan(0);
    expect(reached).toBe(allowed);
    expectRight({ code, text });
  });
});

describe('the tour without an Envoy', () => {
  test('asks over HTTP and finds every answer right', { timeout: 60_000 }, async () => {
    const { code, text } = await tour('--http');
    expect(text).toContain('over HTTP');
    expectRight({ code, text });
  });
});
