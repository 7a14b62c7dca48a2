/** policies/scenarios: every story passes, comes out the same twice, and would fail if an answer were another or a millisecond off. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isMap, parseDocument } from 'yaml';
import { buildToolchain } from '../../scripts/toolchain.mjs';
import { policiesOf } from '../../src/cli/policy/timeline-policies.ts';
import { timelineFiles } from '../../src/cli/policy/timelines.ts';
import { hasRego } from '../../src/policy/toolchain/read-sources.ts';
import { openToolchain } from '../../src/policy/toolchain/open-toolchain.ts';
import type { Toolchain } from '../../src/policy/toolchain/toolchain.ts';
import { runTimeline } from '../../src/timeline/run-timeline.ts';
import { readSpan, shownOffset } from '../../src/timeline/terms.ts';
import { describeWith, repositoryRoot } from '../parts.ts';

const ROOT = join(repositoryRoot, 'policies/scenarios');
const folders = readdirSync(ROOT).map((name) => join(ROOT, name)).filter((path) => statSync(path).isDirectory());

const short = (path: string): string => path.slice(ROOT.length + 1);

test('there are the seven of the README, each with what it is about', () => {
  expect(folders.map(short)).toEqual(['ai-agent-ticket', 'break-glass', 'ci-deploy', 'database-migration', 'legacy-exception', 'nightly-batch', 'third-party-app']);
  for (const folder of folders) {
    expect(timelineFiles(folder).length, folder).toBeGreaterThan(0);
    expect(readFileSync(join(folder, 'README.md'), 'utf8').length, folder).toBeGreaterThan(200);
    expect(readFileSync(join(repositoryRoot, 'policies/scenarios/README.md'), 'utf8')).toContain(`](${short(folder)}/README.md)`);
  }
});

/** A text with one thing changed, and whether anything was. */
const changed = (text: string, index: number, change: (step: { get(name: string): unknown; set(name: string, value: unknown): void; getIn(path: readonly string[]): unknown; setIn(path: readonly string[], value: unknown): void }) => boolean): string | undefined => {
  const document = parseDocument(text);
  const step = document.getIn(['steps', index]);
  return isMap(step) && change(step) ? document.toString({ lineWidth: 0 }) : undefined;
};

const MUTANTS: Readonly<Record<string, Parameters<typeof changed>[2]>> = {
  'an allow where a denial is expected, and the other way round': (step) => {
    if (step.get('ask') === undefined) return false;
    const denied = step.getIn(['expect', 'deny']) !== undefined;
    step.set('expect', denied ? 'allow' : { deny: 'grant.none' });
    return true;
  },
  'one millisecond more': (step) => {
    const until = step.getIn(['expect', 'validUntil']);
    if (typeof until !== 'string') return false;
    step.setIn(['expect', 'validUntil'], shownOffset((readSpan(until.slice(1)) ?? 0) + 1));
    return true;
  },
  'one millisecond earlier at an end': (step) => {
    const at = step.get('at');
    const reason = step.getIn(['expect', 'deny']);
    if (typeof at !== 'string' || !['grant.expired', 'standing.ended', 'task.heartbeat'].includes(String(reason)) || (readSpan(at.slice(1)) ?? 1) % 1_000 !== 0) return false;
    step.set('at', shownOffset((readSpan(at.slice(1)) ?? 0) - 1));
    return true;
  },
};

const scenario = (folder: string, open: () => Promise<Toolchain>): void => {
  const policyOf = policiesOf(open, folder);
  test.each(timelineFiles(folder).map((file) => [short(file), file]))('%s passes, twice with the same result', async (_, file) => {
    const text = readFileSync(file, 'utf8');
    const once = await runTimeline({ name: file, text }, (named) => policyOf(file, named));
    expect([...once.faults, ...once.failures]).toEqual([]);
    expect(once.stepsRun).toBe(once.steps);
    expect(once.questions).toBeGreaterThan(0);
    expect(JSON.stringify(await runTimeline({ name: file, text }, (named) => policyOf(file, named)))).toBe(JSON.stringify(once));
  });

  test.each(timelineFiles(folder).map((file) => [short(file), file]))('positive control: %s fails for every expectation that is changed', async (_, file) => {
    const text = readFileSync(file, 'utf8');
    const count = (parseDocument(text).toJS() as { steps: readonly unknown[] }).steps.length;
    let mutants = 0;
    for (const [name, change] of Object.entries(MUTANTS)) {
      for (let index = 0; index < count; index += 1) {
        const mutant = changed(text, index, change);
        if (mutant === undefined) continue;
        const { failures, faults } = await runTimeline({ name: file, text: mutant }, (named) => policyOf(file, named));
        expect(faults).toEqual([]);
        expect(failures.length, `${name}, step ${index}`).toBeGreaterThan(0);
        mutants += 1;
      }
    }
    expect(mutants).toBeGreaterThan(1);
  });
};

const none = (): Promise<Toolchain> => Promise.reject(new Error('needs no toolchain'));

describe('scenarios of the default pack', () => {
  for (const folder of folders.filter((path) => !hasRego(path))) scenario(folder, none);
});

describeWith(['go'], 'scenarios with rules of their own', () => {
  let toolchain: Toolchain;
  beforeAll(async () => {
    buildToolchain();
    toolchain = await openToolchain();
  }, 600_000);
  afterAll(() => toolchain.close());
  for (const folder of folders.filter(hasRego)) scenario(folder, () => Promise.resolve(toolchain));
});
