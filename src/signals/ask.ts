/** Asks a source how one of its tasks is. Over is what the source says is over, or does not know any more; everything else leaves things as they are. */
import { getBytes } from '../bounded/get.ts';
import { readBounded } from '../bounded/file.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';
import { parseStrictJson } from '../domain/strict-json.ts';
import type { PollerConfig } from './config.ts';
import { GITLAB_OVER } from './interpret.ts';
import { readHookSecret, type SecretSources } from './verify.ts';

/** `unknown`: the source does not have it. `unavailable`: it could not be asked, or its answer not be understood. */
export type SourceState = 'open' | 'closed' | 'unknown' | 'unavailable';

export interface AskDeps {
  readonly secrets: SecretSources;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const ANSWER_BYTES_MAX = 4_194_304;
const CA_BYTES_MAX = 1_000_000;

type Got = { readonly value: JsonObject } | 'missing' | 'unavailable';

const get = async (config: PollerConfig, path: string, headers: Readonly<Record<string, string>>, { secrets, timeoutMs, signal }: AskDeps): Promise<Got> => {
  const token = config.token === undefined ? undefined : readHookSecret(config.token, secrets);
  if (config.token !== undefined && token === undefined) return 'unavailable';
  const ca = config.ca === undefined ? undefined : readBounded(config.ca, CA_BYTES_MAX);
  if (ca !== undefined && 'fault' in ca) return 'unavailable';
  const got = await getBytes({
    url: new URL(path), timeoutMs, bytesMax: ANSWER_BYTES_MAX, signal,
    headers: { accept: 'application/json', 'user-agent': 'curfew', ...headers },
    ...(token === undefined ? {} : { bearerToken: token }), ...(ca === undefined ? {} : { ca: ca.text }),
  });
  if ('fault' in got) return got.status === 404 || got.status === 410 ? 'missing' : 'unavailable';
  const value = parseStrictJson(got.bytes?.toString('utf8') ?? '');
  return isJsonObject(value) ? { value } : 'unavailable';
};

const stateBy = (got: Got, isOver: (value: JsonObject) => boolean | undefined): SourceState => {
  if (got === 'missing') return 'unknown';
  const over = got === 'unavailable' ? undefined : isOver(got.value);
  return over === undefined ? 'unavailable' : over ? 'closed' : 'open';
};

const pointed = (value: JsonValue, pointer: string): JsonValue | undefined => {
  let at: JsonValue | undefined = value;
  for (const step of pointer.split('/').slice(1).map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))) {
    at = isJsonObject(at) && Object.hasOwn(at, step) ? at[step] : undefined;
  }
  return at;
};

const textOf = (value: JsonValue | undefined): string | undefined => (typeof value === 'string' ? value : undefined);

const conditionIs = (status: JsonObject, type: string): boolean =>
  Array.isArray(status['conditions']) && status['conditions'].some((condition) => isJsonObject(condition) && condition['type'] === type && condition['status'] === 'True');

/** A Kubernetes Job or Pod; the name and the id must both be the same, so that a new one of the same name is another. */
const kubernetesOver = (kind: 'job' | 'pod', uid: string) => ({ metadata, status }: JsonObject): boolean | undefined => {
  if (!isJsonObject(metadata) || typeof metadata['uid'] !== 'string') return undefined;
  if (metadata['uid'] !== uid || metadata['deletionTimestamp'] !== undefined) return true;
  if (!isJsonObject(status)) return false;
  return kind === 'job' ? status['completionTime'] !== undefined || conditionIs(status, 'Complete') || conditionIs(status, 'Failed') : ['Succeeded', 'Failed'].includes(textOf(status['phase']) ?? '');
};

/** `id` is the task's, without the name of the source. */
export const askSource = async (config: PollerConfig, id: string, deps: AskDeps): Promise<SourceState> => {
  const base = config.url.replace(/\/+$/, '');
  const parts = id.split(':');
  const digits = parts.slice(1).every((part) => /^\d{1,18}$/.test(part));
  if (config.kind === 'ticket') {
    const got = await get(config, config.url.replace('{id}', encodeURIComponent(id)), {}, deps);
    return stateBy(got, (value) => {
      const state = textOf(pointed(value, config.state));
      return state === undefined ? undefined : !config.open.includes(state);
    });
  }
  if (config.kind === 'kubernetes') {
    const [kind, name = '', uid = ''] = parts;
    if ((kind !== 'job' && kind !== 'pod') || parts.length !== 3 || !/^[a-z0-9.-]{1,253}$/.test(name) || uid === '') return 'unknown';
    const path = `${kind === 'job' ? '/apis/batch/v1' : '/api/v1'}/namespaces/${config.namespace}/${kind}s/${name}`;
    return stateBy(await get(config, `${base}${path}`, {}, deps), kubernetesOver(kind, uid));
  }
  if (config.kind === 'github') {
    const [kind, run, attempt] = parts;
    const path = kind === 'job' && parts.length === 2 ? `jobs/${run}` : kind === 'run' && parts.length === 3 ? `runs/${run}/attempts/${attempt}` : undefined;
    if (path === undefined || !digits) return 'unknown';
    const got = await get(config, `${base}/repos/${config.repository}/actions/${path}`, { 'x-github-api-version': '2022-11-28' }, deps);
    return stateBy(got, ({ status }) => (typeof status === 'string' ? status === 'completed' : undefined));
  }
  const [kind, number] = parts;
  if ((kind !== 'job' && kind !== 'pipeline') || parts.length !== 2 || !digits) return 'unknown';
  const got = await get(config, `${base}/api/v4/projects/${config.project}/${kind}s/${number}`, {}, deps);
  return stateBy(got, ({ status }) => (typeof status === 'string' ? GITLAB_OVER.has(status) : undefined));
};
