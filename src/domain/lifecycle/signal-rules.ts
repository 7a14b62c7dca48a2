/**
 * What a source outside says of a task: it began, it goes on, it is over. The task's id is the source's own, so that it is found without
 * looking: `<source>:<id there>`. Whatever the order of arrival, over wins: an end that comes before its beginning leaves a closed task
 * behind, and what begins later finds it (F8). A repeated or late signal changes nothing.
 */
import type { RecordRef } from '../grant-refs.ts';
import { taskRef } from '../grant-refs.ts';
import { plus } from '../instant.ts';
import type { JsonObject } from '../json.ts';
import { readTask } from '../records.ts';
import { taskFault, type Task } from '../task.ts';
import { refuse, type Actor, type Change, type Loaded, type Rule, type Ruling } from './change.ts';
import { beatTask, closeTask, openTask, pauseTask, resumeTask, type OpenTask, type TaskCaps, type TaskCommand } from './task-rules.ts';
import type { TaskKinds } from './task-kinds.ts';

export const SIGNAL_STATES = ['open', 'closed', 'paused', 'resumed', 'beat'] as const;
export type SignalState = (typeof SIGNAL_STATES)[number];

export interface TaskSignal {
  readonly id: string;
  readonly state: SignalState;
  /** Of a task that is opened by it. */
  readonly kind: string;
  readonly owner: string;
  readonly reference?: string | undefined;
  readonly heartbeatMs?: number | undefined;
}

/** Present while a task that a source outside knows is open, so that pollers find it. */
export const openSignalRef = (id: string): RecordRef => ({ kind: 'open-signal', id });

const SEPARATOR = ':';
/** `<source>` of `<source>:<id there>`. */
export const sourceOf = (taskId: string): string | undefined => {
  const at = taskId.indexOf(SEPARATOR);
  return at > 0 && at < taskId.length - 1 ? taskId.slice(0, at) : undefined;
};
export const sourcedId = (source: string, id: string): string => `${source}${SEPARATOR}${id}`;

/** It was over before it was known here. */
const tombstone = (signal: TaskSignal, actor: Actor, now: { readonly latest: Task['openedAt'] }): Change => {
  const task: Task = {
    version: 1, id: signal.id, kind: signal.kind, owner: signal.owner, openedBy: actor.id, openedAt: now.latest, state: 'closed', deadline: plus(now.latest, 1), closedAt: now.latest, closedBy: actor.id,
    ...(signal.reference === undefined ? {} : { reference: signal.reference }),
  };
  const value = task as unknown as JsonObject;
  return {
    puts: [{ key: taskRef(task.id), value }],
    events: [{ type: 'task.closed', about: [taskRef(task.id)], ending: true, data: { task: value, by: actor.id, cause: 'task.closed' } }],
    reply: { task: value },
  };
};

/** It goes on, as it did. */
const heard = (type: 'task.resumed' | 'task.beat', task: Task, actor: Actor): { readonly ok: true; readonly change: Change } => {
  const value = task as unknown as JsonObject;
  return { ok: true, change: { puts: [], events: [{ type, about: [taskRef(task.id)], ending: false, data: { task: value, by: actor.id } }], reply: { task: value } } };
};

/** Opening a task that a source knows: noted for its pollers. */
export const openSourced = (id: string, command: OpenTask, actor: Actor, caps: TaskCaps, kinds: TaskKinds): Rule => {
  const rule = openTask(id, command, actor, caps, kinds);
  return {
    ...rule,
    judge: (loaded, now) => {
      const ruling = rule.judge(loaded, now);
      return ruling.ok && ruling.change !== undefined ? { ok: true, change: { ...ruling.change, puts: [...ruling.change.puts, { key: openSignalRef(id), value: { version: 1 } }] } } : ruling;
    },
  };
};

export const signalTask = (signal: TaskSignal, actor: Actor, realm: string, caps: TaskCaps, kinds: TaskKinds): Rule => {
  const { id, state, kind, owner, reference, heartbeatMs } = signal;
  // Who closes for a source is no housekeeper: the task need not be over.
  const command: TaskCommand = { id, actor: { ...actor, kind: 'operator' }, realm, kinds: new Map() };
  const open = openSourced(id, { kind, owner, reference, heartbeatMs }, actor, caps, kinds);
  const known: Readonly<Record<SignalState, Rule>> = { open, closed: closeTask(command), paused: pauseTask(command), resumed: resumeTask(command), beat: beatTask(command) };
  const rule = known[state];
  const unchanged = (loaded: Loaded): Ruling => {
    const record = loaded.record(taskRef(id));
    return { ok: true, unchanged: { sequence: record?.modified.sequence ?? 0, reply: { task: record?.value } } };
  };
  return {
    ends: state === 'closed' || state === 'paused',
    needs: (loaded) => [...open.needs(loaded), ...rule.needs(loaded)],
    judge: (loaded, now) => {
      const record = loaded.record(taskRef(id));
      if (record === undefined) {
        if (state === 'open') return open.judge(loaded, now);
        return state === 'closed' ? { ok: true, change: tombstone(signal, actor, now) } : refuse('not-found', 'there is no such task');
      }
      const task = readTask(record.value);
      if (task === undefined) return refuse('unavailable', 'the task record could not be understood');
      // Noted all the same, so that a replay of the message is known as one when the task is paused; or, of a beat, when it goes on again.
      const moot = state === 'resumed' ? task.state === 'open' : state === 'beat' && task.state === 'paused';
      if (moot) return { ...heard(state === 'beat' ? 'task.beat' : 'task.resumed', task, actor), unchanged: { sequence: record.modified.sequence, reply: { task: record.value } } };
      if (state === 'open' || task.state === 'closed' || (state === 'paused' && task.state === 'paused')) return unchanged(loaded);
      const fault = taskFault(task, now);
      if (state !== 'closed' && fault !== undefined && fault !== 'task.paused') return unchanged(loaded);
      const ruling = rule.judge(loaded, now);
      return ruling.ok && ruling.change !== undefined && state === 'closed' ? { ok: true, change: { ...ruling.change, drops: [openSignalRef(id)] } } : ruling;
    },
  };
};

/** The marker of a task that is over without its source's saying so. */
export const forgetSignal = (id: string, actor: Actor): Rule => ({
  ends: false,
  needs: () => [taskRef(id)],
  judge: (loaded): Ruling => {
    const task = readTask(loaded.record(taskRef(id))?.value ?? {});
    if (task !== undefined && task.state !== 'closed') return refuse('state', 'the task is not over');
    return { ok: true, change: { puts: [], drops: [openSignalRef(id)], events: [{ type: 'signal.forgotten', about: [taskRef(id)], ending: false, data: { task: id, by: actor.id } }], reply: {} } };
  },
});
