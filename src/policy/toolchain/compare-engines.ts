/**
 * Runs Rego tests in the engine that decides, and holds its outcomes against those of OPA's tester. A test that only one of
 * the two passes is a difference, also when it can't be run here at all: what is tested must be what runs in production.
 */
import type { Instant } from '../../domain/instant.ts';
import type { JsonValue } from '../../domain/json.ts';
import type { PolicyOutcome } from '../../decision/ports.ts';
import { BundleRefused } from '../bundle/bundle-refused.ts';
import { loadPolicy } from '../load-policy.ts';
import type { PolicyTest, Sources, Toolchain } from './toolchain.ts';

export interface Difference {
  readonly test: PolicyTest;
  /** Part of a sentence: `passes in OPA, ... in the engine of Curfew`. */
  readonly text: string;
}

/** Entrypoints of one compile; a manifest may name 1,000. */
const TESTS_PER_MODULE = 500;
/** Tests are about answers, not about the time that a decision has. */
const TEST_WAIT_MS_MAX = 10_000;

const leaves = (value: JsonValue | undefined, name: string): readonly (readonly [string, JsonValue | undefined])[] =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.entries(value).flatMap(([key, inner]) => leaves(inner as JsonValue, name === '' ? key : `${name}/${key}`))
    : [[name, value]];

const passes = (outcome: PolicyOutcome, { passed, failed }: PolicyTest): boolean => {
  if (outcome.kind !== 'value') return false;
  if (passed === undefined && failed === undefined) return outcome.value === true;
  const here = leaves(outcome.value, '').filter(([, value]) => value === true).map(([name]) => name);
  return (failed ?? []).length === 0 && here.toSorted().join('\n') === (passed ?? []).toSorted().join('\n');
};

const described = (outcome: PolicyOutcome): string => {
  if (outcome.kind === 'failed') return `fails (${outcome.detail})`;
  return outcome.kind === 'undefined' ? 'is undefined' : `is ${JSON.stringify(outcome.value).slice(0, 200)}`;
};

const differenceOf = (test: PolicyTest, outcome: PolicyOutcome): readonly Difference[] => {
  const inOpa = test.outcome === 'passed';
  if (inOpa === passes(outcome, test)) return [];
  return [{ test, text: `${inOpa ? 'passes' : 'does not pass'} in OPA, but ${described(outcome)} in Curfew's engine` }];
};

const compareSome = async (toolchain: Toolchain, sources: Sources, tests: readonly PolicyTest[], now: Instant): Promise<readonly Difference[]> => {
  const entrypoints = tests.map(({ path }) => path);
  const archive = await toolchain.compile(sources, { entrypoints, tests: true });
  try {
    const policy = await loadPolicy(archive, { entrypoints, opaBuiltins: true, opaWaitMsMax: TEST_WAIT_MS_MAX });
    return tests.flatMap((test) => differenceOf(test, policy.evaluate(test.path, {}, now)));
  } catch (error) {
    if (!(error instanceof BundleRefused)) throw error;
    return tests.map((test) => ({ test, text: `can not run in Curfew's engine: ${error.message}` }));
  }
};

/** Differences in the order of the tests; `now` is what the tests see as the time. */
export const compareEngines = async (toolchain: Toolchain, sources: Sources, tests: readonly PolicyTest[], now: Instant): Promise<readonly Difference[]> => {
  const run = tests.filter(({ outcome }) => outcome !== 'skipped');
  // OPA numbers tests of one name; a rule of that name is all of them at once.
  const [numbered, comparable] = [run.filter(({ name }) => name.includes('#')), run.filter(({ name }) => !name.includes('#'))];
  const found: Difference[] = numbered.map((test) => ({ test, text: 'has the name of another test, so that the engines can not be compared' }));
  for (let at = 0; at < comparable.length; at += TESTS_PER_MODULE) {
    found.push(...(await compareSome(toolchain, sources, comparable.slice(at, at + TESTS_PER_MODULE), now)));
  }
  return found;
};
