/** What a webhook says, in Curfew's words. Only what is known is understood; the rest is passed over, and never guessed at. */
import { isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';
import { SIGNAL_STATES, type SignalState } from '../domain/lifecycle/signal-rules.ts';
import { SELECTOR_KINDS, type SelectorKind } from '../domain/selector.ts';
import type { HookConfig } from './config.ts';

export interface Said {
  /** Without the name of the source. */
  readonly task: string;
  readonly state: SignalState;
  readonly reference?: string;
}

export interface EndSaid {
  readonly selector: { readonly kind: SelectorKind; readonly value: JsonValue };
  readonly reason: string;
}

/** What a person decided in a chat tool. */
export interface DecisionSaid {
  readonly person: string;
  readonly request: string;
  readonly what: { readonly approve: string } | { readonly deny: string };
}

/** `undefined`: nothing that concerns a task. `malformed`: it should have, and can't be read. */
export type Interpreted = { readonly tasks: readonly Said[] } | { readonly end: EndSaid } | { readonly decision: DecisionSaid } | 'nobody' | 'malformed' | undefined;

const REFERENCE_CHARS_MAX = 500;
const isId = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value > 0;

/** States of GitHub's jobs and runs that say something; queued ones have not begun. */
const GITHUB: ReadonlyMap<string, SignalState> = new Map([['in_progress', 'open'], ['completed', 'closed']]);

const github = (hook: Extract<HookConfig, { kind: 'github' }>, body: JsonObject, event: string): Interpreted => {
  const subject = event === 'workflow_job' ? body['workflow_job'] : event === 'workflow_run' ? body['workflow_run'] : undefined;
  if (event !== 'workflow_job' && event !== 'workflow_run') return undefined;
  const { action, repository } = body;
  if (!isJsonObject(subject) || !isId(subject['id']) || typeof action !== 'string' || !isJsonObject(repository) || typeof repository['full_name'] !== 'string') return 'malformed';
  if (hook.repositories?.includes(repository['full_name']) === false) return undefined;
  const state = GITHUB.get(action);
  const url = subject['html_url'];
  const reference = typeof url === 'string' && url.length <= REFERENCE_CHARS_MAX ? { reference: url } : {};
  if (state === undefined) return undefined;
  if (event === 'workflow_job') return { tasks: [{ task: `job:${subject['id']}`, state, ...reference }] };
  const attempt = subject['run_attempt'];
  return isId(attempt) ? { tasks: [{ task: `run:${subject['id']}:${attempt}`, state, ...reference }] } : 'malformed';
};

export const GITLAB_OVER: ReadonlySet<string> = new Set(['success', 'failed', 'canceled', 'skipped']);
const gitlabState = (status: string): SignalState | undefined => (GITLAB_OVER.has(status) ? 'closed' : status === 'running' ? 'open' : undefined);

const gitlab = (hook: Extract<HookConfig, { kind: 'gitlab' }>, body: JsonObject): Interpreted => {
  const { object_kind: kind, object_attributes: attributes, project } = body;
  const projectId = kind === 'build' ? body['project_id'] : isJsonObject(project) ? project['id'] : undefined;
  if (kind !== 'build' && kind !== 'pipeline') return undefined;
  const [id, status] = kind === 'build' ? [body['build_id'], body['build_status']] : isJsonObject(attributes) ? [attributes['id'], attributes['status']] : [];
  if (!isId(id) || typeof status !== 'string' || !isId(projectId)) return 'malformed';
  const state = gitlabState(status);
  if (hook.projects?.includes(projectId) === false || state === undefined) return undefined;
  return { tasks: [{ task: `${kind === 'build' ? 'job' : 'pipeline'}:${id}`, state }] };
};

const GENERIC: ReadonlyMap<string, SignalState> = new Map([['task.opened', 'open'], ['task.closed', 'closed'], ['task.paused', 'paused'], ['task.resumed', 'resumed'], ['task.beat', 'beat']]);
const TASK = /^[A-Za-z0-9._:-]{1,96}$/;

const generic = (body: JsonObject): Interpreted => {
  const { type, task, reference, selector, reason } = body;
  if (type === 'access.ended') {
    if (!isJsonObject(selector) || typeof reason !== 'string') return 'malformed';
    const kind = SELECTOR_KINDS.find((known) => known === selector['kind']);
    const { value } = selector;
    return kind === undefined || value === undefined ? 'malformed' : { end: { selector: { kind, value }, reason } };
  }
  const state = typeof type === 'string' ? GENERIC.get(type) : undefined;
  if (state === undefined || !SIGNAL_STATES.includes(state)) return typeof type === 'string' ? undefined : 'malformed';
  if (typeof task !== 'string' || !TASK.test(task)) return 'malformed';
  return { tasks: [{ task, state, ...(typeof reference === 'string' && reference.length <= REFERENCE_CHARS_MAX ? { reference } : {}) }] };
};

const REQUEST_ID = /^[0-9a-f-]{1,64}$/;

/** An account that is nobody decides nothing; an approval is of the digest that was shown. */
const chat = ({ persons }: Extract<HookConfig, { kind: 'chat' }>, { type, request, digest, account, reason }: JsonObject): Interpreted => {
  if (type !== 'request.approve' && type !== 'request.deny') return typeof type === 'string' ? undefined : 'malformed';
  if (typeof request !== 'string' || !REQUEST_ID.test(request) || typeof account !== 'string') return 'malformed';
  const what = type === 'request.approve' ? (typeof digest === 'string' ? { approve: digest } : undefined) : typeof reason === 'string' ? { deny: reason } : undefined;
  if (what === undefined) return 'malformed';
  const person = Object.hasOwn(persons, account) ? persons[account] : undefined;
  return person === undefined ? 'nobody' : { decision: { person, request, what } };
};

export const interpret = (hook: HookConfig, headers: Headers, body: JsonObject): Interpreted => {
  if (hook.kind === 'chat') return chat(hook, body);
  if (hook.kind === 'github') return github(hook, body, headers.get('x-github-event') ?? '');
  return hook.kind === 'gitlab' ? gitlab(hook, body) : generic(body);
};
