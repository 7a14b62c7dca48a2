/**
 * I1, I2, I8, E11 through the real program with two workers: many clients ask over both transports while access ends. What an
 * allow says of itself (`decidedAt` = valid-until less valid-ms) and when its question was sent are compared with when access ended.
 */
import { connect, type ClientHttp2Session } from 'node:http2';
import { Agent, request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { messageType } from '../../src/grpc/proto/schema.ts';
import { startCurfew, type Curfew } from '../runtime/curfew.ts';
import { until } from '../support/until.ts';

interface Asked {
  readonly sentAt: number;
  readonly decidedAt: number;
  readonly validUntil: number;
}

const WORKLOAD = 'spiffe://dev.local/ci/deployer';
const CLIENTS = 20;
let curfew: Curfew;
let token: string;
let agent: Agent;
let sessions: ClientHttp2Session[];

beforeAll(async () => {
  curfew = await startCurfew({ workers: 2 });
  token = await curfew.mint(WORKLOAD);
  agent = new Agent({ keepAlive: true });
  sessions = [0, 1, 2, 3].map(() => connect(`http://127.0.0.1:${curfew.ports.grpc}`));
  for (const session of sessions) session.on('error', () => undefined);
  await until('two workers', () => curfew.workers().length === 2);
});
afterAll(async () => {
  agent?.destroy();
  for (const session of sessions ?? []) session.destroy();
  await curfew?.stop();
});

const asked = (sentAt: number, validUntil: string | undefined, validMs: string | undefined): Asked => {
  const end = Date.parse(validUntil ?? '');
  return { sentAt, decidedAt: end - Number(validMs), validUntil: end };
};

const overHttp = (): Promise<Asked | undefined> =>
  new Promise((resolve) => {
    const sentAt = Date.now();
    const headers = { authorization: `Bearer ${token}`, 'x-forwarded-method': 'GET', 'x-forwarded-proto': 'http', 'x-forwarded-host': 'shop.local', 'x-forwarded-uri': '/orders/42' };
    const sent = request({ host: '127.0.0.1', port: curfew.ports.http, path: '/forward-auth', agent, headers }, (response) => {
      const { 'x-curfew-valid-until': end, 'x-curfew-valid-ms': ms } = response.headers as Record<string, string>;
      response.resume().once('end', () => resolve(response.statusCode === 200 ? asked(sentAt, end, ms) : undefined));
    });
    sent.once('error', () => resolve(undefined));
    sent.end();
  });

const checkResponse = messageType('envoy.service.auth.v3.CheckResponse');
const framedQuestion = (): Buffer => {
  const message = messageType('envoy.service.auth.v3.CheckRequest').encode({
    attributes: { request: { http: { method: 'GET', host: 'shop.local', path: '/orders/42', scheme: 'http', headers: { authorization: `Bearer ${token}` } } } },
  }).finish();
  const framed = Buffer.concat([Buffer.alloc(5), message]);
  framed.writeUInt32BE(message.length, 1);
  return framed;
};

interface CheckResponse {
  readonly okResponse?: { readonly headers: readonly { readonly header: { readonly key: string; readonly value: string } }[] } | null;
}

const overGrpc = (session: ClientHttp2Session, framed: Buffer): Promise<Asked | undefined> =>
  new Promise((resolve) => {
    const sentAt = Date.now();
    const stream = session.request({ ':method': 'POST', ':path': '/envoy.service.auth.v3.Authorization/Check', 'content-type': 'application/grpc', te: 'trailers' });
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', () => undefined);
    stream.once('close', () => {
      const bytes = Buffer.concat(chunks);
      const ok = bytes.length < 5 ? undefined : (checkResponse.decode(bytes.subarray(5)) as unknown as CheckResponse).okResponse;
      const value = (key: string) => ok?.headers.find(({ header }) => header.key === key)?.header.value;
      resolve(ok === null || ok === undefined ? undefined : asked(sentAt, value('x-curfew-valid-until'), value('x-curfew-valid-ms')));
    });
    stream.end(framed);
  });

/** Asks on and on with many clients while `act` runs; gives every allow. */
const crowd = async <T>(act: (allows: readonly Asked[]) => Promise<T>): Promise<{ readonly allows: readonly Asked[]; readonly result: T }> => {
  const allows: Asked[] = [];
  const framed = framedQuestion();
  let stop = false;
  const clients = Array.from({ length: CLIENTS }, async (_, index) => {
    while (!stop) {
      const allow = index % 2 === 0 ? await overHttp() : await overGrpc(sessions[index % sessions.length] as ClientHttp2Session, framed);
      if (allow !== undefined) allows.push(allow);
    }
  });
  try {
    return { allows, result: await act(allows) };
  } finally {
    stop = true;
    await Promise.all(clients);
  }
};

const body = (kind: string, value: string) => ({ selector: { kind, value }, reason: 'race' });
const openTask = async (): Promise<string> => (await curfew.admin('POST', '/v1/tasks', { kind: 'ci', owner: 'team:shop' })).body.id;

describe('I2: after the API answered, no allow is decided and none is given to who asks then', () => {
  test.each(['revoke the grant', 'revoke the workload', 'suspend the task', 'pause the task', 'close the task'])('%s', async (name) => {
    const task = await openTask();
    const grant = await curfew.grant(WORKLOAD, { model: 'jit', task, reference: undefined });
    const { allows, result: answeredAt } = await crowd(async (seen) => {
      await until('allows over both transports', () => seen.length > CLIENTS * 2);
      const answer = {
        'revoke the grant': () => curfew.admin('POST', '/v1/revocations', body('grant', grant.id)),
        'revoke the workload': () => curfew.admin('POST', '/v1/revocations', body('workload-prefix', `${WORKLOAD}`)),
        'suspend the task': () => curfew.admin('POST', '/v1/suspensions', body('task', task)),
        'pause the task': () => curfew.admin('POST', `/v1/tasks/${task}/pause`),
        'close the task': () => curfew.admin('POST', `/v1/tasks/${task}/close`),
      }[name];
      expect((await answer?.())?.status).toBeLessThan(300);
      const at = Date.now();
      const before = seen.length;
      await until('no allow any more', async () => {
        const count = seen.length;
        await overHttp();
        return seen.length === count && Date.now() - at > 150;
      });
      expect(before).toBeGreaterThan(0);
      return at;
    });
    expect(allows.filter(({ sentAt, decidedAt }) => sentAt > answeredAt || decidedAt > answeredAt)).toEqual([]);
    // Its credential came before the revocation; the next tests need one that came after.
    if (name === 'revoke the workload') token = await until('a token that the revocation does not cover', async () => {
      const next = await curfew.mint(WORKLOAD);
      const { status, reason } = await curfew.ask(next);
      return status === 403 && reason?.startsWith('grant.') === true ? next : undefined;
    });
  });

  test('positive control: without an ending, allows go on after the instant', async () => {
    await curfew.grant(WORKLOAD);
    const { allows, result } = await crowd(async (seen) => {
      await until('allows', () => seen.length > 0);
      const at = Date.now();
      await until('later ones', () => seen.some(({ decidedAt }) => decidedAt > at));
      return at;
    });
    expect(allows.some(({ sentAt, decidedAt }) => sentAt > result && decidedAt > result)).toBe(true);
    await curfew.admin('POST', '/v1/revocations', body('owner', 'team:shop'));
  });
});

test('I1: none of hundreds of questions around the end of a grant is allowed at or after it', async () => {
  // On a busy machine a grant may be over before anybody asked; three that were asked about it takes.
  for (let [round, asked] = [0, 0]; asked < 3; round += 1) {
    expect(round).toBeLessThan(20);
    const end = Date.parse((await curfew.grant(WORKLOAD, { ttlMs: 700 })).expiresAt);
    const { allows } = await crowd(() => until('the end to be over', () => Date.now() > end + 100));
    if (allows.length > 0) asked += 1;
    expect(allows.filter(({ sentAt, decidedAt, validUntil }) => !(decidedAt < end && sentAt < end && validUntil === end))).toEqual([]);
  }
});

test('I8, E11: a grant for seven uses, asked for by a hundred at once over two workers, is used seven times', async () => {
  const { id } = await curfew.grant(WORKLOAD, { uses: 7 });
  const framed = framedQuestion();
  const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? overHttp() : overGrpc(sessions[index % sessions.length] as ClientHttp2Session, framed))));
  const allowed = answers.filter((answer) => answer !== undefined).length;
  const { usesLeft } = (await curfew.admin('GET', `/v1/grants/${id}`)).body;
  // On a machine that is too busy some uses may be counted for answers that came too late to be allowed; never the reverse.
  expect(allowed).toBeLessThanOrEqual(7 - usesLeft);
  expect(allowed).toBeGreaterThan(0);
});
