/** Real overload of a real worker: whatever can't be answered in time is refused, nothing is allowed for it, and soon after all is as before. */
import { connect } from 'node:http2';
import { afterEach, expect, test } from 'vitest';
import { messageType } from '../../src/grpc/proto/schema.ts';
import { frame, rawCall, statusOf } from '../grpc/serve.ts';
import { until } from '../support/until.ts';
import { startCurfew, type Curfew } from './curfew.ts';

let curfew: Curfew | undefined;
afterEach(async () => {
  await curfew?.stop();
  curfew = undefined;
});

const CHECK = { ':path': '/envoy.service.auth.v3.Authorization/Check' };
const CheckRequest = messageType('envoy.service.auth.v3.CheckRequest');
const CheckResponse = messageType('envoy.service.auth.v3.CheckResponse');
/** The guarantee; on a machine that others keep busy it is kept all the same. */
const RECOVERY_MS = 5_000;

test('L1: five hundred questions at once for one worker with room for twenty: no wrong answer, and it recovers within five seconds', { timeout: 90_000 }, async () => {
  const running = (curfew = await startCurfew({ args: ['--set', 'limits.questionsMax=20'], env: { CURFEW_LIMITS_DECISION_DEADLINE_MS: '2000' } }));
  const [ALLOWED, OTHER] = ['spiffe://dev.local/ci/allowed', 'spiffe://dev.local/ci/other'];
  await running.grant(ALLOWED);
  const question = async (who: string): Promise<Buffer> => {
    const http = { method: 'GET', path: '/orders/1', host: 'shop.local', scheme: 'http', protocol: 'HTTP/1.1', headers: { authorization: `Bearer ${await running.mint(who)}` } };
    return frame(Buffer.from(CheckRequest.encode(CheckRequest.fromObject({ attributes: { request: { http } } })).finish()));
  };
  const questions = [await question(ALLOWED), await question(OTHER)];
  const [pid] = running.workers();
  const sessions = Array.from({ length: 5 }, () => connect(`http://127.0.0.1:${running.ports.grpc}`).on('error', () => undefined));
  const told = async (index: number): Promise<string> => {
    const answer = await rawCall(sessions[index % 5] as (typeof sessions)[number], [questions[index % 2] as Buffer], CHECK);
    if (statusOf(answer) !== '0') return `status ${statusOf(answer)}`;
    const read = CheckResponse.toObject(CheckResponse.decode(answer.data.subarray(5))) as any;
    return read.okResponse !== undefined ? 'allow' : String(read.deniedResponse.status.code);
  };
  const seen = [new Map<string, number>(), new Map<string, number>()] as const;
  const shedSeen = async (): Promise<boolean> => /curfew_shed_total\{protocol="ext-authz-grpc",cause="full"\} [1-9]/.test(await running.metrics());
  try {
    let stopped = false;
    const load = Promise.all(Array.from({ length: 500 }, async (_, index) => {
      while (!stopped) {
        const answer = await told(index);
        const counts = seen[index % 2] as Map<string, number>;
        counts.set(answer, (counts.get(answer) ?? 0) + 1);
      }
    }));
    await until('it sheds, and answers some', async () => (await shedSeen()) && seen[0].has('allow') && seen[1].has('403'));
    stopped = true;
    await load;
    const ended = performance.now();
    await until('what should be allowed is allowed again', async () => (await told(0)) === 'allow', RECOVERY_MS);
    expect(performance.now() - ended).toBeLessThan(RECOVERY_MS);
  } finally {
    for (const session of sessions) session.destroy();
  }
  expect([...seen[0].keys()].filter((answer) => !['allow', '403', '429'].includes(answer))).toEqual([]);
  expect([...seen[1].keys()].filter((answer) => !['403', '429'].includes(answer))).toEqual([]);
  expect(seen[0].get('429')).toBeGreaterThan(0);
  expect(running.workers()).toEqual([pid]);
});
