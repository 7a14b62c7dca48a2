/**
 * The lifecycle's commands: each joins a pure rule with what it depends on, and executes it. Who may give a command at all is
 * decided before (admin, self-service); what no role may do is in the rules.
 */
import type { Clock, Policy } from '../decision/ports.ts';
import type { Instant } from '../domain/instant.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Actor, Rule } from '../domain/lifecycle/change.ts';
import { canonicalSelector, type SelectorInput } from '../domain/lifecycle/canonical-selector.ts';
import { resetClock } from '../domain/lifecycle/clock-rules.ts';
import { lift, revoke, suspend, suspensionRef, type EndCommand } from '../domain/lifecycle/ending-rules.ts';
import type { IssueGrant } from '../domain/lifecycle/grant-terms.ts';
import { setOperator } from '../domain/lifecycle/operator-rules.ts';
import type { Role } from '../domain/lifecycle/roles.ts';
import { openSourced, sourceOf } from '../domain/lifecycle/signal-rules.ts';
import { idFault } from '../domain/lifecycle/fields.ts';
import type { KnownOwners } from '../domain/lifecycle/known-owner.ts';
import type { TaskKinds } from '../domain/lifecycle/task-kinds.ts';
import { beatTask, closeTask, openTask, pauseTask, resumeTask, type OpenTask, type TaskCommand } from '../domain/lifecycle/task-rules.ts';
import { isJsonObject } from '../domain/json.ts';
import { selectorKey, type Selector } from '../domain/selector.ts';
import type { Store } from '../store/port.ts';
import type { LifecycleConfig } from './config.ts';
import type { Deciders } from './deciders.ts';
import { createEnforce, leasesMs } from './enforce.ts';
import type { Executed, Idempotency } from './execute.ts';
import { emergencyFault, entitlementOf, issuingRule, referenceRefusal } from './issuing.ts';
import { newId } from './new-id.ts';
import type { NoteRefusal } from './note-refusals.ts';
import { createRun } from './run.ts';
import { createSettle, type Settle } from './settle.ts';
import { watchEnforced, type WatchCommand } from './watched.ts';
import { createWatchCommands, type WatchCommands } from './watch-commands.ts';

export interface LifecycleDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly config: LifecycleConfig;
  readonly policy: () => Pick<Policy, 'revision' | 'entitlement' | 'evaluate'> | undefined;
  /** Any operator may lift a suspension; grants need no entitlement, and none needs to be `direct`. */
  readonly development: boolean;
  /** A command that ends access is enforced everywhere so long after its commit, unless a process stands still: `maxFactsAgeMs + pepCacheMaxMs`. Both may grow while it runs. */
  readonly enforcementMs: number;
  /** The part of it for what PEPs keep, which begins when the last answer was written. */
  readonly pepCacheMs?: number;
  readonly settle?: Settle;
  /** Where the processes that decide can be asked, they are, and `maxFactsAgeMs` is not waited for. */
  readonly deciders?: Deciders | undefined;
  /** Sources outside that name their own tasks, by the name that begins those tasks' ids. */
  readonly taskSources?: ReadonlySet<string>;
  /** Whether a reference is there and open at its source; `undefined`: it has none. */
  readonly checkReference?: (reference: string) => Promise<'open' | 'closed' | 'unknown' | 'unavailable' | undefined>;
  /** How many channels of alerts take that emergency access was used. Absent: whether there are enough is not asked. */
  readonly emergencyChannels?: number;
  /** Only for stories, which know no keys: emergency access is issued directly where its entitlement is `direct`. */
  readonly directEmergencies?: boolean;
  /** Told of every refusal of access; absent: they are answered and leave nothing behind. */
  readonly noteRefusal?: NoteRefusal;
  /** Names that the configuration knows, where a people source says who may be an owner in this realm. */
  readonly knownOwners?: (realm: string) => KnownOwners;
  /** Names of the enforcement points, where they are known. */
  readonly peps?: ReadonlySet<string>;
  /** Watches commands that end access, for traces; neither waits nor throws. */
  readonly watch?: WatchCommand | undefined;
  /** Ids in place of random ones, for what must come out the same twice. */
  readonly newId?: (now: Instant) => string;
}

/** Who commands, where, and under which idempotency key. */
export interface Call {
  readonly realm: string;
  readonly actor: Actor;
  readonly idempotency?: Omit<Idempotency, 'command'> | undefined;
  /** W3C trace context of the request, as it came and well-formed. */
  readonly traceparent?: string | undefined;
}

export interface EndRequest {
  readonly selector: SelectorInput;
  readonly reason: string;
}

export interface Lifecycle extends WatchCommands {
  /** `source`: the id under which a source outside knows it, `<source>:<id there>`. */
  openTask(call: Call, command: OpenTask, source?: string): Promise<Executed>;
  beatTask(call: Call, id: string): Promise<Executed>;
  /** Pausing and closing resolve once they are enforced, unless `respondAsync` or for housekeeping. */
  pauseTask(call: Call, id: string, respondAsync?: boolean): Promise<Executed>;
  resumeTask(call: Call, id: string): Promise<Executed>;
  closeTask(call: Call, id: string, respondAsync?: boolean): Promise<Executed>;
  issueGrant(call: Call, terms: IssueGrant): Promise<Executed>;
  /** Resolves once it is enforced, unless `respondAsync`; `reply.revocation` has `settleMs`. */
  revoke(call: Call, request: EndRequest, respondAsync: boolean): Promise<Executed>;
  suspend(call: Call, request: EndRequest, respondAsync: boolean): Promise<Executed>;
  lift(call: Call, request: { readonly id: string; readonly reason?: string | undefined; readonly persons: readonly string[] }): Promise<Executed>;
  setOperator(call: Call, id: string, roles: readonly Role[]): Promise<Executed>;
  /** Records that the wall clock is accepted; works while the clock is not trusted. */
  resetClock(call: Call, request: { readonly reason: string; readonly behindMs: number }): Promise<Executed>;
}

export const createLifecycle = (deps: LifecycleDeps): Lifecycle => {
  const { store, clock, config, policy, development } = deps;
  const { caps } = config;
  const kinds: TaskKinds = new Map(Object.entries(config.taskKinds));
  const settle = deps.settle ?? createSettle(clock);
  const enforcedMs = (): number => deps.enforcementMs + (store.fenceMs?.() ?? 0);
  const run = createRun({ store, clock, idempotencyKeepMs: config.idempotencyKeepMs });
  const enforce = watchEnforced(deps.watch, createEnforce({ store, clock, run, settle, enforcedMs, pepCacheMs: () => deps.pepCacheMs ?? 0, deciders: deps.deciders }));
  const freshId = (): string => (deps.newId ?? newId)(clock.now().latest);

  const taskCommand = (command: string, rule: (task: TaskCommand) => Rule) => (call: Call, id: string, remember?: JsonObject): Promise<Executed> =>
    run(call, command, `task/${id}`, rule({ id, kinds, actor: call.actor, realm: call.realm }), remember);

  const taskEnd = (command: string, rule: (task: TaskCommand) => Rule) => async (call: Call, id: string, respondAsync = false): Promise<Executed> => {
    const waits = !respondAsync && call.actor.kind !== 'system';
    return enforce({ ...call, command }, 0, waits, () => taskCommand(command, rule)(call, id, { respondAsync }));
  };

  /**
   * A selector that is spelt right and means nobody ends nothing. It may be meant all the same, for what is still to come, so this is said and not
   * refused; and when it can't be found out, nothing is said: no read may keep an ending back.
   */
  const unknownNote = async (realm: string, { kind, value }: Selector): Promise<readonly string[]> => {
    try {
      if (kind === 'workload') {
        const { rows } = await store.facts({ realm, keys: [], index: { owner: value, endsAfter: clock.now().latest, wanted: () => false } });
        return rows.length > 0 ? [] : ['this workload holds no live grant now; is it spelt as its grants name it?'];
      }
      const unknown = (kind === 'entitlement' && policy()?.entitlement(value) === undefined) || (kind === 'pep' && deps.peps?.has(value) === false);
      return unknown ? [`no ${kind} of this name is known here; is it spelt right?`] : [];
    } catch {
      return [];
    }
  };

  const end = async (
    call: Call, name: 'revoke' | 'suspend', rule: (command: EndCommand, actor: Actor) => Rule, request: EndRequest, respondAsync: boolean,
  ): Promise<Executed> => {
    const canonical = canonicalSelector(request.selector, call.realm);
    if (!canonical.ok) {
      const { path, message } = canonical;
      return { ok: false, failure: { code: 'invalid', detail: `${path} ${message}`, faults: [{ path, message }] } };
    }
    const { selector } = canonical;
    const least = enforcedMs();
    const [longestMs, notes] = await Promise.all([leasesMs(store, call.realm), unknownNote(call.realm, selector)]);
    const command: EndCommand = { id: freshId(), selector, reason: request.reason, settleMs: Math.max(least, longestMs), notes };
    // A replay waits too: the first call may still be waiting, or its process may have ended before it could.
    return enforce({ ...call, command: name }, least, !respondAsync, () => run(call, name, `ending/${selectorKey(selector)}`, rule(command, call.actor), { respondAsync }));
  };

  const knownEntitlement = (id: string) => {
    const active = policy();
    const entitlement = active === undefined ? undefined : entitlementOf(id, active);
    return typeof entitlement === 'object' ? entitlement : undefined;
  };

  const suspendedWorkload = async (realm: string, id: string): Promise<string | undefined> => {
    const [record] = await store.read(realm, [suspensionRef(id)]);
    const selector = record?.value['selector'];
    return isJsonObject(selector) && selector['kind'] === 'workload' && typeof selector['value'] === 'string' ? selector['value'] : undefined;
  };

  const issueGrant = async (call: Call, terms: IssueGrant): Promise<Executed> => {
    const active = policy();
    if (active === undefined) return { ok: false, failure: { code: 'unavailable', detail: 'no policy bundle is active; nothing was issued' } };
    const wrong = await referenceRefusal(deps, terms.reference);
    if (wrong !== undefined) return run(call, 'grant.issue', `holder/${terms.workload}`, wrong);
    const fault = emergencyFault(deps, terms.model);
    if (fault !== undefined) return { ok: false, failure: { code: 'unavailable', detail: fault } };
    return run(call, 'grant.issue', `holder/${terms.workload}`, issuingRule(deps, active)({ realm: call.realm, id: freshId(), terms, actor: call.actor }));
  };

  return {
    openTask: async (call, command, source) => {
      if (source !== undefined) {
        const known = idFault(source) ?? (deps.taskSources?.has(sourceOf(source) ?? '') === true ? undefined : 'must begin with a configured source, such as github:run:1:1');
        if (known !== undefined) return { ok: false, failure: { code: 'invalid', detail: `/source ${known}`, faults: [{ path: '/source', message: known }] } };
        return run(call, 'task.open', `task/${source}`, openSourced(source, command, call.actor, caps, kinds));
      }
      const id = freshId();
      return run(call, 'task.open', `task/${id}`, openTask(id, command, call.actor, caps, kinds));
    },
    beatTask: (call, id) => taskCommand('task.beat', beatTask)(call, id),
    pauseTask: taskEnd('task.pause', pauseTask),
    resumeTask: (call, id) => taskCommand('task.resume', resumeTask)(call, id),
    closeTask: taskEnd('task.close', closeTask),
    issueGrant: async (call, terms) => {
      const executed = await issueGrant(call, terms);
      return deps.noteRefusal === undefined ? executed : deps.noteRefusal(call, { command: 'grant.issue' }, executed);
    },
    revoke: (call, request, respondAsync) => end(call, 'revoke', revoke, request, respondAsync),
    suspend: (call, request, respondAsync) => end(call, 'suspend', suspend, request, respondAsync),
    lift: async (call, request) => {
      let workload: string | undefined;
      try {
        workload = await suspendedWorkload(call.realm, request.id);
      } catch {
        return { ok: false, failure: { code: 'store-unavailable', detail: 'the store can not be read; nothing was changed' } };
      }
      return run(call, 'lift', `suspension/${request.id}`, lift({ ...request, workload, allowSelfLift: development }, call.actor));
    },
    setOperator: (call, id, roles) => run(call, 'operators.set', `operator/${id}`, setOperator(id, roles, call.actor, { newId: freshId, settleMs: enforcedMs(), onTransfer: config.directory.onTransfer })),
    ...createWatchCommands({ run, newId: freshId, development, enforcedMs, caps, kinds, entitlementOf: knownEntitlement, noteRefusal: deps.noteRefusal }),
    resetClock: (call, { reason, behindMs }) => run(call, 'clock.reset', 'clock', resetClock(reason, behindMs, call.actor)),
  };
};
