/** Commands about what is looked after: signals of sources outside, alerts, reviews of emergency access, steps by hand, imported groups. */
import type { Alert } from '../domain/alert.ts';
import { grantRef } from '../domain/grant-refs.ts';
import type { Instant } from '../domain/instant.ts';
import { redeliverAlert, testAlert } from '../domain/lifecycle/alert-rules.ts';
import type { Rule } from '../domain/lifecycle/change.ts';
import { noteCanary, type CanaryRun } from '../domain/lifecycle/canary-rules.ts';
import { finishStep, importGroups, openStep, type FinishStep, type ManualStep } from '../domain/lifecycle/manual-rules.ts';
import type { Entitlement } from '../domain/lifecycle/entitlement.ts';
import { confirmGrant, graceGrant, type RecertifySetting } from '../domain/lifecycle/recertify-rules.ts';
import { closeReview, noteEntitlement, overdueReview, raiseOnce, type CloseReview } from '../domain/lifecycle/review-rules.ts';
import { forgetSignal, signalTask, type TaskSignal } from '../domain/lifecycle/signal-rules.ts';
import type { TaskKinds } from '../domain/lifecycle/task-kinds.ts';
import type { TaskCaps } from '../domain/lifecycle/task-rules.ts';
import type { GroupGraph } from '../domain/reports/groups.ts';
import type { Executed } from './execute.ts';
import type { Call } from './lifecycle.ts';
import type { NoteRefusal } from './note-refusals.ts';

export interface WatchCommands {
  /** What a source outside says of one of its tasks. */
  signalTask(call: Call, signal: TaskSignal): Promise<Executed>;
  forgetSignal(call: Call, id: string): Promise<Executed>;
  /** Tries whether alerts arrive. */
  testAlert(call: Call): Promise<Executed>;
  closeReview(call: Call, request: Omit<CloseReview, 'anybody'>): Promise<Executed>;
  /** An overdue review stops what it stops. */
  stopOverdue(call: Call, grant: string): Promise<Executed>;
  /** An alert that comes with no other change. */
  raiseOnce(call: Call, make: (now: Instant) => Alert): Promise<Executed>;
  noteCanary(call: Call, canary: { readonly id: string; readonly pep: string }, run: CanaryRun): Promise<Executed>;
  noteEntitlement(call: Call, entitlement: string): Promise<Executed>;
  /** An owner's word that a grant is still needed; and another person's that it may wait for it a little longer. */
  confirmGrant(call: Call, grant: string, note: string): Promise<Executed>;
  graceGrant(call: Call, grant: string, note: string): Promise<Executed>;
  openStep(call: Call, step: ManualStep): Promise<Executed>;
  finishStep(call: Call, request: Omit<FinishStep, 'anybody'>): Promise<Executed>;
  importGroups(call: Call, graph: GroupGraph): Promise<Executed>;
  /** Delivers an alert that is over to every channel again. */
  redeliverAlert(call: Call, id: string): Promise<Executed>;
}

export interface WatchCommandDeps {
  readonly run: (call: Call, command: string, turn: string, rule: Rule) => Promise<Executed>;
  readonly newId: () => string;
  readonly development: boolean;
  readonly enforcedMs: () => number;
  readonly caps: TaskCaps;
  readonly kinds: TaskKinds;
  readonly entitlementOf: (id: string) => Entitlement | undefined;
  readonly noteRefusal: NoteRefusal | undefined;
}

const createRecertifying = ({ run, development, entitlementOf, noteRefusal }: WatchCommandDeps): Pick<WatchCommands, 'confirmGrant' | 'graceGrant'> => {
  const carryOut = async (call: Call, command: string, grant: string, rule: (setting: RecertifySetting) => Rule): Promise<Executed> => {
    const executed = await run(call, command, `recertification/${grant}`, rule({ realm: call.realm, entitlementOf, anybody: development }));
    return noteRefusal === undefined ? executed : noteRefusal(call, { command, about: [grantRef(grant)] }, executed);
  };
  return {
    confirmGrant: (call, grant, note) => carryOut(call, 'grant.recertify', grant, (setting) => confirmGrant(grant, note, call.actor, setting)),
    graceGrant: (call, grant, note) => carryOut(call, 'grant.grace', grant, (setting) => graceGrant(grant, note, call.actor, setting)),
  };
};

export const createWatchCommands = (deps: WatchCommandDeps): WatchCommands => {
  const { run, newId, development, enforcedMs, caps, kinds } = deps;
  return {
    ...createRecertifying(deps),
    signalTask: (call, signal) => run(call, 'task.signal', `task/${signal.id}`, signalTask(signal, call.actor, call.realm, caps, kinds)),
    forgetSignal: (call, id) => run(call, 'signal.forget', `task/${id}`, forgetSignal(id, call.actor)),
    closeReview: (call, request) => run(call, 'review.close', `review/${request.grant}`, closeReview({ ...request, anybody: development }, call.actor)),
    stopOverdue: (call, grant) => run(call, 'review.stop', `review/${grant}`, overdueReview(grant, enforcedMs(), call.actor)),
    raiseOnce: (call, make) => run(call, 'alert.raise', 'alert', raiseOnce(make, call.actor)),
    noteCanary: (call, canary, ran) => run(call, 'canary.note', `canary/${canary.id}`, noteCanary(canary, ran, call.actor)),
    noteEntitlement: (call, entitlement) => run(call, 'drill.note', `drill/${entitlement}`, noteEntitlement(entitlement, call.actor)),
    openStep: (call, step) => run(call, 'manual.open', `manual/${step.id}`, openStep(step, call.actor)),
    finishStep: (call, request) => run(call, 'manual.finish', `manual/${request.id}`, finishStep({ ...request, anybody: development }, call.actor)),
    importGroups: (call, graph) => run(call, 'group.import', `graph/${graph.source}`, importGroups(graph, call.actor)),
    testAlert: (call) => run(call, 'alert.test', 'alert', testAlert(newId(), call.actor)),
    redeliverAlert: (call, id) => run(call, 'alert.redeliver', `alert/${id}`, redeliverAlert(id, call.actor)),
  };
};
