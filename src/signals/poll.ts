/**
 * Asks sources about tasks that are open here, and closes what is over there. It only ends: what can't be asked stays as it is, and ends at
 * its deadline or with its heartbeat. A webhook that was lost is made good by the next round.
 */
import { sourceOf } from '../domain/lifecycle/signal-rules.ts';
import { readTask } from '../domain/records.ts';
import { taskRef } from '../domain/grant-refs.ts';
import type { NodeStore } from '../store/port.ts';
import { askSource, type SourceState } from './ask.ts';
import type { PollerConfig, SignalsConfig } from './config.ts';
import type { SignalPort } from './receive.ts';
import type { SecretSources } from './verify.ts';

export interface PollDeps {
  readonly store: Pick<NodeStore, 'list' | 'read' | 'takeTurn'>;
  readonly config: Pick<SignalsConfig, 'pollers' | 'hooks' | 'pollMs' | 'timeoutMs'>;
  readonly realms: readonly string[];
  readonly port: Pick<SignalPort, 'task'> & { readonly forget: (realm: string, task: string) => Promise<unknown> };
  readonly secrets: SecretSources;
  readonly holder: string;
  readonly onAnswer?: (source: string, state: SourceState) => void;
}

export interface Poll {
  /** One round through everything that is open; resolves to how many tasks it closed. */
  round(): Promise<number>;
  stop(): void;
}

const PAGE = 200;
const AT_ONCE = 8;
const TURN_ROUNDS = 3;
const TURN_MS_MIN = 60_000;

export const createPoll = (deps: PollDeps): Poll => {
  const { store, config, port } = deps;
  const pollers = new Map<string, PollerConfig>(config.pollers.map((poller) => [poller.id, poller]));
  const stopping = new AbortController();

  const lookAt = async (realm: string, id: string): Promise<number> => {
    const source = sourceOf(id) ?? '';
    const poller = pollers.get(source);
    if (poller === undefined || stopping.signal.aborted) return 0;
    const state = await askSource(poller, id.slice(source.length + 1), { secrets: deps.secrets, timeoutMs: config.timeoutMs, signal: stopping.signal });
    deps.onAnswer?.(source, state);
    if (state !== 'closed' && state !== 'unknown') return 0;
    const taken = await port.task(realm, source, { id, state: 'closed', kind: poller.taskKind, owner: poller.owner }, undefined);
    return taken === 'done' ? 1 : 0;
  };

  const inRealm = async (realm: string): Promise<number> => {
    let closed = 0;
    for (let after: string | undefined; ; ) {
      const page = await store.list(realm, { kind: 'open-signal', limit: PAGE, ...(after === undefined ? {} : { after }) });
      const tasks = (await store.read(realm, page.items.map(({ key }) => taskRef(key.id)))).map((record) => (record === undefined ? undefined : readTask(record.value)));
      const open: string[] = [];
      for (const [index, { key }] of page.items.entries()) {
        if (tasks[index]?.state === 'open' || tasks[index]?.state === 'paused') open.push(key.id);
        else await port.forget(realm, key.id);
      }
      const queue = open.values();
      const work = async (): Promise<void> => {
        for (const id of queue) closed += await lookAt(realm, id);
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      if (page.next === undefined || stopping.signal.aborted) return closed;
      after = page.next;
    }
  };

  return {
    round: async () => {
      if (pollers.size + config.hooks.length === 0) return 0;
      if ((await store.takeTurn?.('signals', deps.holder, Math.max(TURN_MS_MIN, config.pollMs * TURN_ROUNDS))) === false) return 0;
      let closed = 0;
      for (const realm of deps.realms) closed += await inRealm(realm);
      return closed;
    },
    stop: () => stopping.abort(),
  };
};
