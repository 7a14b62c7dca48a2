/**
 * OPA's trace of a rule for an operator who asks a worker for it: the worker asks the supervisor, which looks whose credential it is and has OPA's
 * own evaluator go over what the active bundle was compiled of. Guarantee: no trace without an operator who may `explain` in that realm;
 * one at a time, bounded in events, bytes and time, in a thread of its own. Nothing is decided here.
 */
import cluster from 'node:cluster';
import type { AuthenticateOperator } from '../admin/principal.ts';
import type { JsonValue } from '../domain/json.ts';
import { mayCommand } from '../domain/lifecycle/roles.ts';
import type { NoTrace, TraceAsk, Traced } from '../gateways/opa/trace.ts';
import { openToolchain } from '../policy/toolchain/open-toolchain.ts';
import type { Sources } from '../policy/toolchain/toolchain.ts';
import type { FromWorker, ToWorker } from './messages.ts';

const EVALUATE_MS = 20_000;
/** Longer than the evaluation. */
const WAIT_MS = 25_000;
/** Of one worker. */
const WAITING_MAX = 2;
const TEXT_CHARS_MAX = 4 * 1024 * 1024;

const BEARER = /^[A-Za-z0-9._~+/=-]{1,8192}$/;

/** A trace as JSON text, or why an operator gets none. */
export type TracedText = { readonly text: string } | { readonly none: NoTrace };

/** In a worker. Resolves to `undefined` when there is none to be had. */
export const createTraceAsker = (tell: (message: FromWorker) => void) => {
  const waiting = new Map<number, (told: TracedText | undefined) => void>();
  let asked = 0;
  return {
    ask: (ask: TraceAsk): Promise<Traced | undefined> =>
      new Promise((resolve) => {
        if (waiting.size >= WAITING_MAX || !BEARER.test(ask.token)) return resolve(undefined);
        const id = (asked += 1);
        const done = (told: TracedText | undefined): void => {
          clearTimeout(timer);
          waiting.delete(id);
          resolve(told === undefined || 'none' in told ? told : { trace: JSON.parse(told.text) as JsonValue });
        };
        const timer = setTimeout(() => done(undefined), WAIT_MS);
        waiting.set(id, done);
        tell({ type: 'want-trace', id, ask });
      }),
    receive: ({ id, told }: Extract<ToWorker, { type: 'trace' }>): void => waiting.get(id)?.(told),
  };
};

export interface PolicyTraceDeps {
  readonly authenticate: AuthenticateOperator;
  /** `undefined`: the active bundle came compiled. */
  readonly sources: () => Sources | undefined;
}

export type PolicyTrace = (ask: TraceAsk) => Promise<TracedText | undefined>;

/** `undefined`: it is no operator's who may explain. Only they hear why there is none. */
export const createPolicyTrace = ({ authenticate, sources }: PolicyTraceDeps): PolicyTrace => {
  let busy = false;
  return async ({ token, realm, rule, input, nowMs, explain, pretty }) => {
    const principal = await authenticate(token, realm);
    if (principal === undefined || principal.kind === 'bootstrap' || principal.untimed === true || !mayCommand(principal.roles, 'explain')) return undefined;
    const files = sources();
    if (files === undefined) return { none: 'no_rego' };
    if (input === undefined) return { none: 'no_input' };
    if (busy) return { none: 'busy' };
    busy = true;
    try {
      const toolchain = await openToolchain();
      try {
        const query = `data${rule.split('/').map((part) => `[${JSON.stringify(part)}]`).join('')}`;
        const { explanation } = await toolchain.evaluate(files, { query, input, explain, events: pretty ? 'pretty' : 'raw', nowMs, timeoutMs: EVALUATE_MS });
        const text = explanation === undefined ? undefined : JSON.stringify(explanation);
        return text !== undefined && text.length <= TEXT_CHARS_MAX ? { text } : { none: 'too_much' };
      } finally {
        await toolchain.close();
      }
    } catch {
      return { none: 'failed' };
    } finally {
      busy = false;
    }
  };
};

/** In the supervisor. Gives what stops it. */
export const tellTraces = (trace: PolicyTrace): (() => void) => {
  const listen = (worker: { send(message: ToWorker, done: () => void): unknown; isConnected(): boolean }, message: FromWorker): void => {
    if (message.type !== 'want-trace') return;
    const { id, ask } = message;
    const send = (told?: TracedText): void => {
      if (worker.isConnected()) worker.send({ type: 'trace', id, ...(told === undefined ? {} : { told }) }, () => undefined);
    };
    trace(ask).then(send, () => send());
  };
  cluster.on('message', listen);
  return () => void cluster.off('message', listen);
};
