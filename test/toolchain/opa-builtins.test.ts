/** What only OPA itself implements, in the engine that decides. */
import { beforeAll, expect, test } from 'vitest';
import { buildToolchain } from '../../scripts/toolchain.mjs';
import type { Instant } from '../../src/domain/instant.ts';
import { BundleRefused } from '../../src/policy/bundle/bundle-refused.ts';
import { loadPolicy } from '../../src/policy/load-policy.ts';
import { openToolchain } from '../../src/policy/toolchain/open-toolchain.ts';
import { createClock } from '../../src/time/clock.ts';
import { describeWith } from '../parts.ts';

const NOW = 1_700_000_000_000 as Instant;

const RULES = `package a

p := strings.render_template("{{.a}} é", {"a": input.x})

q := {"made": graphql.schema_is_valid(input.schema), "sets": object.keys(yaml.unmarshal("a: 1"))}

undefined_ := yaml.unmarshal(input.yaml)

endless := count(graphql.parse_query(input.query)) > 0

many := count([made | some index in numbers.range(1, 5000); made := strings.render_template("{{.a}}", {"a": index})])

impure := http.send({"url": "x", "method": "get"}) if input.never
`;

describeWith(['go'], "OPA's own builtins", () => {
  let archive: Uint8Array;
  let impure: Uint8Array;
  beforeAll(async () => {
    buildToolchain();
    const toolchain = await openToolchain();
    archive = await toolchain.compile({ 'a.rego': RULES.slice(0, RULES.indexOf('impure :=')) }, { entrypoints: ['a/p', 'a/q', 'a/undefined_', 'a/endless', 'a/many'] });
    impure = await toolchain.compile({ 'a.rego': RULES }, { entrypoints: ['a/p', 'a/impure'] });
    await toolchain.close();
  }, 600_000);
  const load = (opaBuiltins: boolean) => loadPolicy(archive, { entrypoints: ['a/p'], opaBuiltins, monotonicMs: createClock({ maxClockStepMs: 1 }).monotonicMs });

  test('are served when it is asked for, and the policy says which it needs', async () => {
    const policy = await load(true);
    expect(policy.opaBuiltins).toEqual(expect.arrayContaining(['graphql.parse_query', 'graphql.schema_is_valid', 'strings.render_template']));
    // A machine under load may take longer than a decision waits.
    await expect.poll(() => policy.evaluate('a/p', { x: 'ü' }, NOW), { timeout: 20_000 }).toEqual({ kind: 'value', value: 'ü é' });
    await expect.poll(() => policy.evaluate('a/q', { schema: 'type Query {a: Int}' }, NOW), { timeout: 20_000 }).toEqual({ kind: 'value', value: { made: true, sets: ['a'] } });
  });

  test('an error is undefined, as in OPA', async () => {
    const policy = await load(true);
    await expect.poll(() => policy.evaluate('a/undefined_', { yaml: '{' }, NOW), { timeout: 20_000 }).toEqual({ kind: 'undefined' });
  });

  test('one that takes too long ends the evaluation as failed, and others work again soon', async () => {
    const policy = await load(true);
    const query = `{${'a{'.repeat(3_000)}b${'}'.repeat(3_000)}${' a'.repeat(200_000)}}`;
    expect(policy.evaluate('a/endless', { query }, NOW)).toMatchObject({ kind: 'failed', detail: expect.stringMatching(/OPA's builtins/) as string });
    await expect.poll(() => policy.evaluate('a/p', { x: 'ü' }, NOW), { timeout: 100_000, interval: 100 }).toEqual({ kind: 'value', value: 'ü é' });
  }, 120_000);

  test('D1: many quick calls are bounded together: waiting costs no processor time, which is all that a watchdog sees', async () => {
    const policy = await load(true);
    await expect.poll(() => policy.evaluate('a/p', { x: 'ü' }, NOW), { timeout: 20_000 }).toEqual({ kind: 'value', value: 'ü é' });
    const { monotonicMs } = createClock({ maxClockStepMs: 1 });
    const begunMs = monotonicMs();
    expect(policy.evaluate('a/many', {}, NOW)).toMatchObject({ kind: 'failed', detail: expect.stringMatching(/OPA's builtins/) as string });
    // 5,000 of them take more than a second on any machine.
    expect(monotonicMs() - begunMs).toBeLessThan(1_000);
    await expect.poll(() => policy.evaluate('a/p', { x: 'ü' }, NOW), { timeout: 20_000 }).toEqual({ kind: 'value', value: 'ü é' });
  });

  test('without them the bundle is refused by name, and what is not pure is refused with them too', async () => {
    const refused = await load(false).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(BundleRefused);
    expect((refused as Error).message).toContain('strings.render_template');
    const never = await loadPolicy(impure, { entrypoints: [], opaBuiltins: true }).catch((error: unknown) => error);
    expect((never as Error).message).toContain('http.send (a decision does not wait');
  });
});
