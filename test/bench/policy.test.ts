/** The policy bench runs, with tiny numbers, on inputs of the sizes it names, and fails on a wrong answer. */
import { expect, test } from 'vitest';
import { bytesOf, envoyInput, inputOf } from '../../bench/policy/inputs.ts';
import { checkYes, policyDefaults, runPolicy } from '../../bench/policy/run.ts';

test('gives a table and the two goals', async () => {
  const { tables, goals } = await runPolicy({ ...policyDefaults, rounds: 1, evaluations: 50 });
  expect(tables.map(({ rows }) => rows.length)).toEqual([2]);
  expect(goals.map(({ goal }) => goal)).toEqual(['p50 <= 15 us, an input of 1 KB', 'p50 <= 40 us, an Envoy input with 20 headers']);
});

test('the inputs are of the size they are called by', () => {
  expect(bytesOf(inputOf(1_024))).toBe(1_024);
  expect(() => inputOf(10)).toThrow('bytes more');
  expect(envoyInput()).toMatchObject({ attributes: { request: { http: { method: 'GET' } } }, parsed_path: ['orders', '42'], curfew: { action: 'GET', protocol: 'ext-authz-grpc' } });
});

test('a wrong answer fails it', () => {
  const answering = (value: unknown) => ({ evaluate: () => ({ kind: 'value', value }) }) as never;
  const lane = { name: 'x', input: inputOf(1_024) };
  expect(() => checkYes(answering({ allow: true, grant: '01a20135-65e8-7e2c-8ca4-f2b0b30e06e5' }), lane)).not.toThrow();
  for (const value of [{ allow: false }, true, { allow: true }, { allow: true, grant: 'other' }]) expect(() => checkYes(answering(value), lane)).toThrow('wrong answer');
});
