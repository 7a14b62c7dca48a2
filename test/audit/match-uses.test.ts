/** Demand 26: three ways in which a use is not what was decided, and every way to look like an honest one. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createKnownDecisions, createMatcher } from '../../src/audit/match-uses.ts';
import { matchText, matchUses } from '../../src/cli/commands/audit-match.ts';
import type { JsonObject } from '../../src/domain/json.ts';

const FIELDS = { decision: 'decision_id', time: 'start_time', reached: 'upstream_host' };
const END = Date.parse('2026-05-01T12:00:00Z');
const decision = (id: string, result: JsonObject, more: JsonObject = {}): JsonObject => ({ version: 1, id, realm: 'shop', workload: 'spiffe://x/w', result, ...more });
const use = (id: string | null, start_time: unknown = '2026-05-01T11:59:59.999Z', upstream_host: unknown = '10.0.0.1:80'): JsonObject => ({ decision_id: id, start_time, upstream_host }) as JsonObject;
const both = (max?: number) => {
  const known = createKnownDecisions(max);
  return { ...known, ...createMatcher(FIELDS, known) };
};
const matcher = () => {
  const made = both();
  made.decided(decision('yes', { allow: true, grant: 'g1', validUntil: END, cacheUntil: 0 }));
  made.decided(decision('cached', { allow: true, grant: 'g1', validUntil: END, cacheUntil: END - 1_000 }));
  made.decided(decision('no', { allow: false, reason: 'grant.none' }));
  return made;
};

describe('demand(26): a use', () => {
  test('that was allowed, before the end, is nothing to tell of; nor is a request that never reached the system', () => {
    const made = matcher();
    expect(made.use('crm', use('yes'))).toBeUndefined();
    for (const reached of [null, '', '-']) expect(made.use('crm', use('no', 0, reached))).toBeUndefined();
  });
  test('without a decision, by one that nobody made, or although it was denied, is bypassed', () => {
    const made = matcher();
    for (const id of [null, '', '-']) expect(made.use('crm', use(id))).toMatchObject({ type: 'grant.bypassed', data: { system: 'crm' } });
    expect(made.use('crm', use('made-up'))).toMatchObject({ type: 'grant.bypassed', cause: 'crm:made-up' });
    expect(made.use('crm', use('no'))).toMatchObject({ type: 'grant.bypassed', realm: 'shop', data: { what: 'used although it was denied' } });
  });
  test('at or after the end is reused, also when its time can not be read; a millisecond before is not', () => {
    for (const time of ['2026-05-01T12:00:00Z', '2026-05-01T12:00:00.000Z', END, END / 1_000, END + 1, 'yesterday', null, {}]) {
      expect(matcher().use('crm', use('yes', time)), String(time)).toMatchObject({ type: 'grant.reused', data: { grant: 'g1', workload: 'spiffe://x/w' } });
    }
    for (const time of [END - 1, (END - 1) / 1_000]) expect(matcher().use('crm', use('yes', time))).toBeUndefined();
  });
  test('by an allow that was used before is bypassed, unless gateways may keep that allow', () => {
    const made = matcher();
    expect(made.use('crm', use('yes'))).toBeUndefined();
    expect(made.use('crm', use('yes'))).toMatchObject({ type: 'grant.bypassed', cause: 'crm:yes:again' });
    expect(made.use('crm', use('cached', END - 2_000))).toBeUndefined();
    expect(made.use('crm', use('cached', END - 1_500))).toBeUndefined();
    expect(made.use('crm', use('cached', END - 1_000))).toMatchObject({ type: 'grant.bypassed' });
  });
  test('attempts that were denied because access had ended are reused, once a grant; other denials are not', () => {
    const made = both();
    const facts = { grants: [{ id: 'g0', fault: 'grant.condition' }, { id: 'g9', version: 1, fault: 'grant.revoked' }] };
    expect(made.decided(decision('d1', { allow: false, reason: 'grant.revoked' }, { facts }))).toMatchObject({ type: 'grant.reused', cause: 'g9:denied', realm: 'shop', data: { reason: 'grant.revoked' } });
    expect(made.decided(decision('d2', { allow: false, reason: 'grant.expired', grant: 'g7' }))).toMatchObject({ cause: 'g7:denied' });
    expect(made.decided(decision('d3', { allow: false, reason: 'grant.none', grant: 'g7' }))).toBeUndefined();
    expect(made.decided(decision('d4', { allow: true, grant: 'g7' }))).toBeUndefined();
  });
  test('G4: names that lead into nothing, prototypes and huge texts', () => {
    const made = createMatcher({ decision: '__proto__.toString', time: 'constructor.name', reached: 'a.b.c' }, createKnownDecisions());
    expect(made.use('crm', JSON.parse('{"a": {"b": {"c": "there"}}}') as JsonObject)).toMatchObject({ type: 'grant.bypassed' });
    const long = both().use('crm', use('x'.repeat(1_000_000))) as { cause: string };
    expect(long.cause.length).toBeLessThan(600);
  });
  test('only so many decisions are remembered', () => {
    const made = both(10);
    for (let index = 0; index < 11; index += 1) made.decided(decision(`d${index}`, { allow: true, validUntil: END }));
    expect(made.waits(use('d0'))).toBe(true);
    expect(made.waits(use('d1'))).toBe(false);
  });
  test('systems share the decisions and not their uses: one allow, used once in each, is honest in each', () => {
    const known = createKnownDecisions();
    known.decided(decision('yes', { allow: true, grant: 'g1', validUntil: END, cacheUntil: 0 }));
    const [crm, erp] = [createMatcher(FIELDS, known), createMatcher(FIELDS, known)];
    expect(crm.use('crm', use('yes'))).toBeUndefined();
    expect(erp.use('erp', use('yes'))).toBeUndefined();
    expect(erp.use('erp', use('yes'))).toMatchObject({ type: 'grant.bypassed', cause: 'erp:yes:again' });
  });
});

test('demand(26) `curfew audit match`: what is no line of an access log is counted and ends nothing; each cause is one finding; hostile text stays text (G4)', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-match-'));
  const file = (name: string, lines: readonly unknown[]): string => {
    const path = join(folder, name);
    writeFileSync(path, lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'));
    return path;
  };
  try {
    const decisions = [
      file('old.jsonl', [decision('yes', { allow: true, grant: 'g1', validUntil: END, cacheUntil: 0 }), '{"version":1,"segment":{}}', '{torn', { id: 7 }]),
      file('new.jsonl', [decision('late', { allow: true, grant: 'g1', validUntil: END, cacheUntil: 0 }), decision('d1', { allow: false, reason: 'grant.revoked', grant: 'g9' }), decision('d2', { allow: false, reason: 'grant.revoked', grant: 'g9' })]),
    ];
    const accessLog = [file('access.jsonl', [use('yes'), use('late', END), '', '[1]', 'not json', use(null), use('\u001b[2J\r\nforged'), use('no', 0, '-')])];
    const options = { decisions, accessLog, system: 'crm', fields: FIELDS, deniedAfterEnd: true };
    const report = await matchUses(options);
    expect(report).toMatchObject({ decisions: 4, uses: 5, unread: 2, truncated: false });
    expect(report.findings.map(({ type, cause }) => [type, JSON.stringify(cause).slice(1, 9)])).toEqual([['grant.reused', 'g9:denie'], ['grant.reused', 'crm:late'], ['grant.bypassed', 'crm:1777'], ['grant.bypassed', 'crm:\\u00']]);
    for (const character of ['\u001b', '\r']) expect(matchText(report)).not.toContain(character);
    expect(matchText(report).split('\n')).toHaveLength(6);
    expect((await matchUses({ ...options, deniedAfterEnd: false })).findings).toHaveLength(3);
    await expect(matchUses({ ...options, accessLog: [join(folder, 'none')] })).rejects.toThrow('can not be read');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
