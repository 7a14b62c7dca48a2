/**
 * Tasks: open, beat, pause, resume, close. What is final stays so: a closed task never reopens, and after a missed heartbeat or
 * the deadline nothing but the closing record follows; a pause does not save a task whose heartbeat was missed already.
 */
import type { DurationMs, Instant, TimeInterval } from '../instant.ts';
import { isDuration, isInstant, plus, toRfc3339 } from '../instant.ts';
import type { JsonObject } from '../json.ts';
import { grantSelectors, endingRef, taskRef } from '../grant-refs.ts';
import { readTask } from '../records.ts';
import type { EventType } from '../event-types.ts';
import { reasonText } from '../reasons.ts';
import { workloadSelectors, type Selector } from '../selector.ts';
import { OVER_BY_TIME, taskFault, taskHoldsUntil, type Task } from '../task.ts';
import {
  coveredBy, invalid, loadedGrants, refuse,
  type Actor, type Change, type Loaded, type Refusal, type Rule, type Ruling,
} from './change.ts';
import { taskActFault, type TaskAct, type TaskKinds } from './task-kinds.ts';
import { faultsOf, idFault, personFault, REFERENCE_CHARS_MAX, textFault } from './fields.ts';

export interface TaskCaps {
  /** Longest life of a task, and the deadline of one that names none. */
  readonly maxTaskMs: number;
}

export interface OpenTask {
  readonly kind: string;
  readonly owner: string;
  readonly reference?: string | undefined;
  readonly heartbeatMs?: number | undefined;
  readonly deadline?: number | undefined;
}

const change = (type: EventType, task: Task, actor: Actor, ending: boolean, extra: JsonObject = {}, before?: Instant): { readonly ok: true; readonly change: Change } => ({
  ok: true,
  change: {
    ...(before === undefined ? {} : { before }),
    puts: [{ key: taskRef(task.id), value: task as unknown as JsonObject }],
    events: [{ type, about: [taskRef(task.id)], ending, data: { task: task as unknown as JsonObject, by: actor.id, ...extra } }],
    reply: { task: task as unknown as JsonObject },
  },
});

export const openTask = (id: string, command: OpenTask, actor: Actor, caps: TaskCaps, kinds: TaskKinds): Rule => ({
  ends: false,
  needs: () => [taskRef(id), ...ownerSelectors(command).map(endingRef)],
  judge: (loaded, now) => {
    const { heartbeatMs, reference } = command;
    const deadline = command.deadline ?? plus(now.earliest, caps.maxTaskMs);
    const faults = faultsOf({
      '/kind': idFault(command.kind),
      '/owner': personFault(command.owner),
      '/reference': reference === undefined ? undefined : textFault(reference, REFERENCE_CHARS_MAX),
      '/heartbeatMs': heartbeatMs === undefined || isDuration(heartbeatMs, caps.maxTaskMs) ? undefined : `must be a whole number of milliseconds from 1 to ${caps.maxTaskMs}`,
      '/deadline': deadlineFault(deadline, now, caps),
    });
    if (faults.length > 0) return invalid(faults);
    const barred = taskActFault(kinds, command.kind, 'open', actor);
    if (barred !== undefined) return refuse('not-permitted', barred);
    if (loaded.record(taskRef(id)) !== undefined) return refuse('state', 'a task with this id was there before; ids are never used again');
    const covered = coveredBy(loaded, ownerSelectors(command), Number.MAX_SAFE_INTEGER);
    if (covered !== undefined) return refuse('suspended', `the ${covered.selector.kind} ${covered.selector.value} is suspended`);
    const task: Task = {
      version: 1, id, kind: command.kind, owner: command.owner, openedBy: actor.id, openedAt: now.earliest, state: 'open', deadline: deadline as Instant,
      ...(reference === undefined ? {} : { reference }),
      ...(heartbeatMs === undefined ? {} : { heartbeatMs: heartbeatMs as DurationMs, lastBeatAt: now.earliest }),
    };
    return change('task.opened', task, actor, false);
  },
});

const ownerSelectors = (command: OpenTask): readonly Selector[] => [{ kind: 'owner', value: command.owner }];

const deadlineFault = (deadline: number, now: TimeInterval, caps: TaskCaps): string | undefined => {
  if (!isInstant(deadline)) return 'must be an instant';
  if (!(now.latest < deadline)) return `must lie in the future; now is ${toRfc3339(now.latest)}`;
  return deadline - now.earliest <= caps.maxTaskMs ? undefined : `may be at most ${caps.maxTaskMs} ms ahead`;
};

/** What a workload that commands a task must be looked up by: itself, its realm, and what its grants rest on. */
const workloadGuards = (workload: string, realm: string): readonly Selector[] => [...workloadSelectors(workload), { kind: 'realm', value: realm }];

export interface TaskCommand {
  readonly id: string;
  readonly actor: Actor;
  readonly realm: string;
  readonly kinds: TaskKinds;
}

/** One is enough, and each that is looked at becomes part of the commit. */
const GRANTS_LOOKED_AT = 100;

/** The workload's grants on the task that began first: none of them has ended, so what has begun is live by time. */
const grantsOn = (loaded: Loaded, task: string) =>
  loadedGrants(loaded).filter(({ grant }) => grant.task === task).toSorted((a, b) => a.grant.notBefore - b.grant.notBefore).slice(0, GRANTS_LOOKED_AT);

/** A workload touches only a task on which it holds a grant that is live and not covered by an ending. */
const holdsGrantOn = (loaded: Loaded, command: TaskCommand, now: TimeInterval): boolean =>
  grantsOn(loaded, command.id).some(({ grant, root }) =>
    grant.notBefore <= now.earliest && now.latest < grant.expiresAt &&
    coveredBy(loaded, [...workloadGuards(command.actor.id, command.realm), ...grantSelectors(grant)], root) === undefined);

const onTask = (command: TaskCommand, act: TaskAct, ends: boolean, judge: (task: Task, now: TimeInterval, version: number) => Ruling): Rule => {
  const { actor, id, kinds, realm } = command;
  return {
    ends,
    ...(actor.kind === 'workload' ? { grantsOf: actor.id } : {}),
    needs: (loaded) => [
      taskRef(id),
      ...(actor.kind === 'workload' ? workloadGuards(actor.id, realm).map(endingRef) : []),
      ...grantsOn(loaded, id).flatMap(({ grant }) => grantSelectors(grant).map(endingRef)),
    ],
    judge: (loaded, now) => {
      const record = loaded.record(taskRef(id));
      const unknown = refuse('not-found', 'there is no such task');
      // A workload without a grant on the task learns nothing about it, not even whether it is there.
      if (record === undefined || (actor.kind === 'workload' && !holdsGrantOn(loaded, command, now))) return unknown;
      const task = readTask(record.value);
      if (task === undefined) return refuse('unavailable', 'the task record could not be understood');
      const barred = taskActFault(kinds, task.kind, act, actor);
      return barred === undefined ? judge(task, now, record.modified.sequence) : refuse('not-permitted', barred);
    },
  };
};

/** Why nothing but closing is left for this task; a paused one is not over. */
const over = (task: Task, now: TimeInterval): { readonly ok: false; readonly refusal: Refusal } | undefined => {
  const fault = taskFault(task, now);
  return fault === undefined || fault === 'task.paused' ? undefined : refuse('state', `${reasonText(fault)}; this is final`);
};

/** A beat so soon after the last one recorded, as a part of the heartbeat, changes nothing: whoever beats without pause fills no log. */
const SOON = 10;

export const beatTask = (command: TaskCommand): Rule =>
  onTask(command, 'beat', false, (task, now, sequence) => {
    const ended = over(task, now);
    if (ended !== undefined) return ended;
    if (task.heartbeatMs === undefined) return refuse('state', 'the task was opened without a heartbeat');
    if (task.state === 'paused') return refuse('state', 'the task is paused; its heartbeat clock stands still');
    const soon = now.earliest - (task.lastBeatAt ?? task.openedAt) < task.heartbeatMs / SOON;
    const unchanged = { sequence, reply: { task: task as unknown as JsonObject } };
    if (soon && command.actor.kind === 'workload') return { ok: true, unchanged };
    const beat = change('task.beat', { ...task, lastBeatAt: now.earliest }, command.actor, false, {}, taskHoldsUntil(task));
    return soon ? { ...beat, unchanged } : beat;
  });

const operatorOnly = (command: TaskCommand, rule: Rule): Rule =>
  command.actor.kind === 'workload' ? { ...rule, judge: () => refuse('not-permitted', 'a workload may at most beat and close its task') } : rule;

export const pauseTask = (command: TaskCommand): Rule =>
  operatorOnly(command, onTask(command, 'pause', true, (task, now) => {
    const ended = over(task, now);
    if (ended !== undefined) return ended;
    if (task.state === 'paused') return refuse('state', 'the task is paused already');
    return change('task.paused', { ...task, state: 'paused' }, command.actor, true, {}, taskHoldsUntil(task));
  }));

export const resumeTask = (command: TaskCommand): Rule =>
  operatorOnly(command, onTask(command, 'resume', false, (task, now) => {
    const ended = over(task, now);
    if (ended !== undefined) return ended;
    if (task.state !== 'paused') return refuse('state', 'the task is not paused');
    return change('task.resumed', { ...task, state: 'open', ...(task.heartbeatMs === undefined ? {} : { lastBeatAt: now.earliest }) }, command.actor, false);
  }));

/** Also closes a task that is over already, so that its record says what became of it; `cause` is why, where time decided. */
export const closeTask = (command: TaskCommand): Rule =>
  onTask(command, 'close', true, (task, now) => {
    if (task.state === 'closed') return refuse('state', 'the task is closed already');
    const fault = taskFault(task, now);
    if (command.actor.kind === 'system' && (fault === undefined || fault === 'task.paused')) return refuse('state', 'the task is not over');
    const byTime = OVER_BY_TIME.find((cause) => cause === fault);
    const closed: Task = { ...task, state: 'closed', closedAt: now.latest, closedBy: command.actor.id, ...(byTime === undefined ? {} : { closedBecause: byTime }) };
    return change('task.closed', closed, command.actor, true, { cause: byTime ?? 'task.closed' });
  });

