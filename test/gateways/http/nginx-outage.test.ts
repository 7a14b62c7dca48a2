/** The whole program behind the shipped nginx configuration: access that ends, and Curfew frozen and killed under load (THREATS B6). */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../../parts.ts';
import { startCurfew, type Curfew } from '../../runtime/curfew.ts';
import { shippedNginx, startNginx, type RunningNginx } from '../../support/nginx.ts';
import { askOnce, openRaw, requestText, type RawResponse } from '../../support/raw-socket.ts';
import { startService, type Service } from '../../support/service.ts';
import { until } from '../../support/until.ts';

const WORKLOAD = 'spiffe://dev.local/ci/deployer';
const CONNECTIONS = 8;

describeWith(['nginx'], 'the whole program behind nginx', () => {
  let service: Service;
  let curfew: Curfew;
  /** As shipped, and one that waits longer for Curfew, where its patience is not what is tested. */
  let nginx: RunningNginx;
  let patient: RunningNginx;
  let token: string;

  beforeAll(async () => {
    service = await startService();
    curfew = await startCurfew({ workers: 2 });
    nginx = await startNginx(shippedNginx({ curfew: curfew.ports.http, service: service.port }, 'shipped'));
    patient = await startNginx(shippedNginx({ curfew: curfew.ports.http, service: service.port }));
    token = await curfew.mint(WORKLOAD);
  });
  afterAll(async () => {
    await nginx?.stop();
    await patient?.stop();
    await curfew?.stop();
    await service?.close();
  });

  const lines = (): readonly string[] => ['Host: shop.local', `Authorization: Bearer ${token}`];
  const get = async (path: string): Promise<RawResponse | undefined> => askOnce(patient.port, requestText(path, lines()));
  const hitsUnder = (path: string): number => service.hits.filter(({ target }) => target.startsWith(path)).length;

  test('demand(1) demand(2) I1: a grant ends on the clock, in the middle of a keep-alive connection', async () => {
    expect((await get('/orders/1'))?.headers.get('x-curfew-reason')).toEqual(['grant.none']);
    const { expiresAt } = await curfew.grant(WORKLOAD, { ttlMs: 2_500 });
    const end = Date.parse(expiresAt);
    const connection = await openRaw(patient.port);
    let [allowed, late] = [0, 0];
    let last: RawResponse | undefined;
    do {
      const sentAt = Date.now();
      last = await connection.ask(requestText('/orders/1', lines()));
      if (last?.status === 200) allowed += 1;
      if (last?.status === 200 && sentAt >= end) late += 1;
      // nginx closes a connection after a thousand requests, which a quick machine asks before the end.
      await new Promise((resolve) => setTimeout(resolve, 5));
    } while (last?.status === 200);
    expect(allowed).toBeGreaterThan(3);
    expect(late).toBe(0);
    expect(last?.status).toBe(403);
    expect(last?.headers.get('x-curfew-reason')).toEqual(['grant.expired']);
    connection.close();
  });

  test('demand(6): a revoked grant is refused at the next request', async () => {
    const { id } = await curfew.grant(WORKLOAD);
    expect((await get('/orders/1'))?.status).toBe(200);
    expect((await curfew.admin('POST', '/v1/revocations', { selector: { kind: 'grant', value: id }, reason: 'test' })).status).toBe(201);
    expect((await get('/orders/1'))?.headers.get('x-curfew-reason')).toEqual(['grant.revoked']);
  });

  /** Keeps asking on several connections until told to stop; every answer counts by its status. */
  const load = (path: () => string) => {
    const statuses = new Map<number, number>();
    let running = true;
    const one = async (): Promise<void> => {
      while (running) {
        const connection = await openRaw(nginx.port);
        for (let response: RawResponse | undefined; running; ) {
          response = await connection.ask(requestText(path(), lines()));
          // nginx closes a connection after so many requests.
          if (response === undefined) break;
          statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
        }
        connection.close();
      }
    };
    const all = Promise.all(Array.from({ length: CONNECTIONS }, one));
    return {
      statuses,
      total: () => [...statuses.values()].reduce((sum, count) => sum + count, 0),
      stop: async () => {
        running = false;
        await all;
      },
    };
  };

  test('B6: frozen and killed under load, nothing reaches the service; woken up, what should be allowed is within 5 s', async () => {
    await curfew.grant(WORKLOAD);
    let phase = 'before';
    const under = load(() => `/orders/${phase}`);
    try {
      await until('load is served', () => hitsUnder('/orders/before') > 50);
      const processes = [curfew.pid, ...curfew.workers()];
      expect(processes.length).toBe(3);
      const noticed = under.statuses.get(500) ?? 0;
      for (const pid of processes) process.kill(pid, 'SIGSTOP');
      await until('they stand still', () => processes.every((pid) => /\) T /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))));
      // Requests sent from now on carry the new path. An answer may have been on its way, so the first ones do not count.
      await until('nginx has noticed', () => (under.statuses.get(500) ?? 0) >= noticed + 2 * CONNECTIONS);
      phase = 'frozen';
      const from = under.total();
      await until('requests while frozen', () => under.total() >= from + 3 * CONNECTIONS);
      expect(hitsUnder('/orders/frozen')).toBe(0);
      for (const pid of processes) process.kill(pid, 'SIGCONT');
      phase = 'woken';
      await until('what should be allowed is allowed again', () => hitsUnder('/orders/woken') > 10, 5_000);

      phase = 'killing';
      for (const pid of [curfew.pid, ...curfew.workers()]) process.kill(pid, 'SIGKILL');
      await curfew.exited;
      phase = 'dead';
      const before = under.total();
      await until('requests while dead', () => under.total() >= before + 5 * CONNECTIONS);
    } finally {
      await under.stop();
    }
    expect(hitsUnder('/orders/dead')).toBe(0);
    expect([...under.statuses.keys()].filter((status) => ![200, 401, 403, 500].includes(status))).toEqual([]);
  });

  test('positive control: a configuration that fails open is caught', async () => {
    const open = shippedNginx({ curfew: 1, service: service.port })
      .replace('internal; # KEEP: clients get 404', 'internal; error_page 502 504 =204 /.open;')
      .replace('location / {', 'location = /.open { internal; auth_request off; return 204; }\n        location / {');
    const faulty = await startNginx(open);
    try {
      await askOnce(faulty.port, requestText('/orders/open', lines()));
      expect(hitsUnder('/orders/open')).toBe(1);
    } finally {
      await faulty.stop();
    }
    const closed = await startNginx(shippedNginx({ curfew: 1, service: service.port }));
    try {
      expect((await askOnce(closed.port, requestText('/orders/closed', lines())))?.status).toBe(500);
      expect(hitsUnder('/orders/closed')).toBe(0);
    } finally {
      await closed.stop();
    }
  });
});
