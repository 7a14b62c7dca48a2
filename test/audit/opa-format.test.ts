/** The decision log in OPA's console format: what a reader of OPA's logs takes, without secrets, and with the chain that every log has. */
import { createReadStream, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { decisionLogConfig } from '../../src/audit/config.ts';
import { byteLines } from '../../src/audit/byte-lines.ts';
import { openDecisionSink } from '../../src/audit/open-sink.ts';
import { verifyLog } from '../../src/audit/verify-log.ts';
import { sampleRecord } from './sample-record.ts';

test('decisions are events of OPA with type and message, in file order, linked; what is too long loses input and result and says so; no secret is in it (G4)', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-opa-format-'));
  const path = join(folder, 'decisions.jsonl');
  try {
    const sink = openDecisionSink(decisionLogConfig.parse({ to: 'file', path, format: 'opa', labels: { region: 'eu' }, recordBytesMax: 4_096 }));
    sink.write({ ...sampleRecord('d1', { attributes: { request: { http: { headers: { authorization: 'Bearer canary-8812', accept: 'x' } } } } }), pep: 'edge', policy: { revision: 'r1', digest: 'd', entrypoint: 'curfew/access/decision', result: { allow: true } }, traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` });
    sink.write(sampleRecord('d2', { text: 'x'.repeat(10_000) }));
    sink.write(sampleRecord('d3', { text: '\u202e\r\n{"forged":1}' }));
    await sink.close(5_000);
    const text = readFileSync(path, 'utf8');
    expect(text).not.toContain('canary-8812');
    expect(text).not.toContain('\u202e');
    const lines = text.trimEnd().split('\n').map((line) => JSON.parse(line));
    const events = lines.filter(({ segment }) => segment === undefined);
    expect(events.map(({ decision_id, type, msg, labels }) => [decision_id, type, msg, labels.region])).toEqual(['d1', 'd2', 'd3'].map((id) => [id, 'openpolicyagent.org/decision_logs', 'Decision Log', 'eu']));
    expect(events[0]).toMatchObject({
      trace_id: 'a'.repeat(32), path: 'curfew/access/decision', requested_by: 'edge', bundles: { curfew: { revision: 'r1' } }, timestamp: '1970-01-01T00:00:01.001000000Z', time: '1970-01-01T00:00:01.001000000Z',
      // What was answered: the policy's yes is taken back.
      result: { allow: false }, masked: ['/input/attributes/request/http/headers/authorization'], custom: { curfew: { realm: 'default', result: { allow: false, reason: 'grant.none' } } },
    });
    expect(events[1]).toMatchObject({ erased: ['/input', '/result'] });
    expect(events[1]).not.toHaveProperty('input');
    expect(events[2].input.text).toBe('\u202e\r\n{"forged":1}');
    expect(await verifyLog(byteLines(createReadStream(path), 1_048_576))).toMatchObject({ decisions: 3, chains: 1, open: [] });
    expect((await verifyLog(byteLines([Buffer.from(text.replace('"d3"', '"d4"'))], 1_048_576))).fault).toBeDefined();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('where decisions are to be judged again or sent on, the format is refused by name', () => {
  const faults = decisionLogConfig.safeParse({ to: 'file', path: '/x', format: 'opa', http: { url: 'https://logs.example.org/logs' } }).error?.issues;
  expect(faults?.map(({ path }) => path.join('.'))).toEqual(['format']);
  expect(decisionLogConfig.safeParse({ format: 'opa' }).success).toBe(true);
});
