/**
 * Takes webhooks: POST `/signals/<source>`. The order is fixed: the source is known, the size is within its limit, the signature is right over the
 * bytes as they came, and only then is anything read. 2xx only once it is committed (or says nothing), so that whoever sends repeats what
 * was lost. No answer tells more than that.
 */
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import { parseStrictJson } from '../domain/strict-json.ts';
import { sourcedId, type TaskSignal } from '../domain/lifecycle/signal-rules.ts';
import type { HookConfig, SignalsConfig } from './config.ts';
import { interpret, type DecisionSaid, type EndSaid } from './interpret.ts';
import { readBytes } from './read-bytes.ts';
import { githubSigned, gitlabSigned, readHookSecret, standardSigned, type SecretSources } from './verify.ts';

export type Taken = 'done' | 'refused' | 'unavailable';

/** What signals do here; given by whoever joins them with the lifecycle. */
export interface SignalPort {
  /** `delivery` names the message, where it is signed. */
  task(realm: string, source: string, signal: TaskSignal, delivery: string | undefined): Promise<Taken>;
  /** A person's yes or no to a request, by a chat tool. */
  decide(realm: string, source: string, decision: DecisionSaid, delivery: string): Promise<Taken>;
  end(realm: string, source: string, end: EndSaid, delivery: string | undefined): Promise<Taken>;
}

export interface ReceiveDeps {
  readonly config: Pick<SignalsConfig, 'hooks' | 'bodyBytesMax'>;
  readonly defaultRealm: string;
  readonly port: SignalPort;
  readonly secrets: SecretSources;
  readonly nowMs: () => number;
  readonly onOutcome?: (source: string, outcome: Outcome) => void;
}

export type Outcome = Taken | 'ignored' | 'malformed' | 'unsigned' | 'too-large';

const STATUS: Readonly<Record<Outcome, number>> = { done: 202, ignored: 202, refused: 409, malformed: 400, unsigned: 401, 'too-large': 413, unavailable: 503 };
const PATH = /^\/signals\/([a-z][a-z0-9-]{0,31})$/;

const answer = (status: number, result: string): Response =>
  new Response(`${JSON.stringify({ result })}\n`, { status, headers: { 'content-type': 'application/json', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } });

const jsonOf = (bytes: Buffer): JsonObject | undefined => {
  try {
    const value = parseStrictJson(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
};

export const createReceive = (deps: ReceiveDeps): ((request: Request) => Promise<Response>) => {
  const hooks = new Map(deps.config.hooks.map((hook) => [hook.id, hook]));

  const isSigned = (hook: HookConfig, headers: Headers, bytes: Buffer): boolean => {
    const secret = readHookSecret(hook.secret, deps.secrets);
    if (secret === undefined) return false;
    if (hook.kind === 'github') return githubSigned(headers, bytes, secret);
    return hook.kind === 'gitlab' ? gitlabSigned(headers, bytes, secret) : standardSigned(headers, bytes, secret, deps.nowMs());
  };

  const take = async (hook: HookConfig, request: Request): Promise<Outcome> => {
    const bytes = await readBytes(request, deps.config.bodyBytesMax);
    if (bytes === undefined) return 'too-large';
    const { headers } = request;
    if (!isSigned(hook, headers, bytes)) return 'unsigned';
    const body = jsonOf(bytes);
    const said = body === undefined ? 'malformed' : interpret(hook, headers, body);
    if (said === 'malformed') return 'malformed';
    if (said === undefined) return 'ignored';
    if (said === 'nobody') return 'refused';
    const realm = hook.realm ?? deps.defaultRealm;
    if (hook.kind === 'chat') return 'decision' in said ? deps.port.decide(realm, hook.id, said.decision, headers.get('webhook-id') ?? '') : 'malformed';
    if ('decision' in said) return 'refused';
    const delivery = hook.kind === 'generic' ? (headers.get('webhook-id') ?? undefined) : undefined;
    if ('end' in said) {
      const may = hook.kind === 'generic' && hook.mayEnd.includes(said.end.selector.kind);
      return may ? deps.port.end(realm, hook.id, said.end, delivery) : 'refused';
    }
    for (const { task, state, reference } of said.tasks) {
      const taken = await deps.port.task(realm, hook.id, { id: sourcedId(hook.id, task), state, kind: hook.taskKind, owner: hook.owner, reference }, delivery);
      if (taken !== 'done') return taken;
    }
    return 'done';
  };

  return async (request) => {
    const id = PATH.exec(new URL(request.url).pathname)?.[1];
    const hook = id === undefined ? undefined : hooks.get(id);
    if (hook === undefined) return answer(404, 'unknown');
    if (request.method !== 'POST') return answer(405, 'method');
    let outcome: Outcome = 'unavailable';
    try {
      outcome = await take(hook, request);
    } catch {
      // Nothing of what went wrong goes out; the sender repeats it.
    }
    deps.onOutcome?.(hook.id, outcome);
    return answer(STATUS[outcome], outcome);
  };
};
