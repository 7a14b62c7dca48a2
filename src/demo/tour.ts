/** What the cases of the tour share: the operator's hands, a workload's, a timeline, and the checks that decide the exit code. */
import { randomUUID } from 'node:crypto';
import type { JsonObject } from '../domain/json.ts';
import type { CurfewProcess } from './curfew-process.ts';
import { REASONS, wireReason } from '../domain/reasons.ts';
import { systemSources } from '../time/clock.ts';
import type { Answer, Gateway } from './gateway.ts';

const { monotonic, wall } = systemSources;

export interface Workload {
  readonly id: string;
  /** One request of this workload through the gateway. */
  use(): Promise<Answer>;
  /** Self-service with its own credential. */
  self(path: string): Promise<void>;
}

export interface Tour {
  readonly curfew: CurfewProcess;
  /** Starts a case: a headline, and the timeline at zero. */
  begin(title: string): void;
  say(text: string): void;
  /** Notes a wrong answer; the tour then fails. */
  check(right: boolean, wanted: string): void;
  measured(what: string, ms: number): void;
  operate(path: string, body: JsonObject): Promise<JsonObject>;
  workload(name: string, method: string, host: string, path: string): Promise<Workload>;
  /** Requests that were answered with an allow. */
  allowed(): number;
  /** Requests that were refused because no decision came in its time (a busy machine); they were sent again, as a client does. */
  unanswered(): number;
  readonly wrong: readonly string[];
  readonly measurements: readonly (readonly [string, number])[];
}

/** More than this and the tour says what it got. */
const UNANSWERED_MAX = 100;

export const wait = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, Math.max(0, ms)));

/** Whether it says of the access that it isn't there, and not only that nothing could be decided in time. */
const isDecision = (reason: string): boolean => reason !== '' && REASONS.every((known) => known !== reason || wireReason(known) !== 'unavailable');

export const shown = (answer: Answer): string => (answer.allowed ? '200 allowed' : `${answer.status} ${answer.reason || 'denied'}`);

export const createTour = (curfew: CurfewProcess, gateway: Gateway, print: (line: string) => void): Tour => {
  const wrong: string[] = [];
  const measurements: [string, number][] = [];
  let title = '';
  let allowed = 0;
  let unanswered = 0;
  let startedMs = monotonic();
  const say = (text: string): void => print(`  ${((monotonic() - startedMs) / 1_000).toFixed(2).padStart(6)} s  ${text}`);

  const post = async (base: string, token: string, path: string, body: JsonObject): Promise<JsonObject> => {
    const answer = await fetch(`${base}${path}`, {
      method: 'POST', body: JSON.stringify(body),
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'idempotency-key': randomUUID() },
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${text}`);
    return (text === '' ? {} : JSON.parse(text)) as JsonObject;
  };

  return {
    curfew, wrong, measurements, say,
    allowed: () => allowed,
    unanswered: () => unanswered,
    begin: (headline) => {
      title = headline;
      startedMs = monotonic();
      print(`\n${headline}`);
    },
    check: (right, wanted) => {
      if (right) return;
      wrong.push(`${title}: ${wanted}`);
      say(`WRONG: ${wanted}`);
    },
    measured: (what, ms) => {
      measurements.push([what, ms]);
      say(`from ${what} to the first denial: ${Math.max(0, ms).toFixed(0)} ms`);
    },
    operate: (path, body) => post(curfew.admin, curfew.operatorToken, path, body),
    workload: async (name, method, host, path) => {
      const id = `spiffe://dev.local/${name}`;
      const token = await curfew.mint(id);
      return {
        id,
        use: async () => {
          for (;;) {
            const answer = await gateway.ask(token, method, host, path);
            if (answer.allowed) allowed += 1;
            if (answer.allowed || isDecision(answer.reason) || unanswered >= UNANSWERED_MAX) return answer;
            unanswered += 1;
          }
        },
        self: async (where) => void (await post(curfew.http, token, where, {})),
      };
    },
  };
};

/** Uses until the first denial, every `everyMs`; gives how many were allowed and when (epoch ms) the denial was seen. */
export const useUntilDenied = async (
  workload: Workload, everyMs: number, giveUpMs: number,
): Promise<{ readonly allowed: number; readonly answer: Answer; readonly deniedAt: number }> => {
  let allowed = 0;
  const end = monotonic() + giveUpMs;
  for (;;) {
    const answer = await workload.use();
    const deniedAt = wall();
    if (!answer.allowed || monotonic() > end) return { allowed, answer, deniedAt };
    allowed += 1;
    await wait(everyMs);
  }
};

/** Epoch milliseconds, comparable with `deniedAt`. */
export const nowMs = (): number => wall();
