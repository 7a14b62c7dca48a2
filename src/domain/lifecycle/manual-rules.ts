/**
 * Where a system must be told by hand that access ended: a step with somebody who has to, a deadline, and the proof that is asked for. And the
 * import of what groups of other systems give.
 */
import { raise, withAlerts } from '../alert.ts';
import { grantRef, type RecordRef } from '../grant-refs.ts';
import type { Instant } from '../instant.ts';
import type { JsonObject } from '../json.ts';
import { graphFaults, type GroupGraph } from '../reports/groups.ts';
import { invalid, refuse, type Actor, type Change, type Rule } from './change.ts';
import { textFault } from './fields.ts';

/** The value stored under `manual/<grant>:<system>`. */
export interface ManualStep {
  readonly version: 1;
  readonly id: string;
  readonly grant: string;
  readonly workload: string;
  readonly system: string;
  /** Who has to do it. */
  readonly assignee: string;
  readonly endedAt: Instant;
  readonly dueAt: Instant;
  readonly state: 'open' | 'done';
  /** What shows that it was done: a link, a ticket, the answer of the system. */
  readonly proof?: string;
  readonly doneBy?: string;
  readonly doneAt?: Instant;
}

export const manualRef = (id: string): RecordRef => ({ kind: 'manual', id });
/** Present while the step is open. */
export const openManualRef = (id: string): RecordRef => ({ kind: 'open-manual', id });
export const manualId = (grant: string, system: string): string => `${grant}:${system}`;

const asJson = (value: object): JsonObject => value as unknown as JsonObject;
export const readStep = (value: JsonObject | undefined): ManualStep | undefined =>
  value !== undefined && value['version'] === 1 && typeof value['system'] === 'string' && typeof value['dueAt'] === 'number' ? (value as unknown as ManualStep) : undefined;

const toldOf = ({ id, grant, workload, system, assignee, dueAt }: ManualStep): JsonObject => ({ step: id, grant, workload, system, assignee, dueAt });

/** Once for each grant and system. */
export const openStep = (step: ManualStep, actor: Actor): Rule => ({
  ends: false,
  needs: () => [manualRef(step.id)],
  judge: (loaded, now) => {
    const record = loaded.record(manualRef(step.id));
    if (record !== undefined) return { ok: true, unchanged: { sequence: record.modified.sequence, reply: {} } };
    const change: Change = {
      puts: [{ key: manualRef(step.id), value: asJson(step) }, { key: openManualRef(step.id), value: { version: 1 } }],
      events: [{ type: 'manual.opened', about: [manualRef(step.id), grantRef(step.grant)], ending: false, data: { step: asJson(step), by: actor.id } }],
      reply: { step: asJson(step) },
    };
    return { ok: true, change: withAlerts(change, [raise('revocation.manual', step.id, now.latest, toldOf(step), [step.assignee])]) };
  },
});

export interface FinishStep {
  readonly id: string;
  readonly proof: string;
  readonly persons: readonly string[];
  /** Development: whoever there is. */
  readonly anybody: boolean;
}

export const finishStep = ({ id, proof, persons, anybody }: FinishStep, actor: Actor): Rule => ({
  ends: false,
  needs: () => [manualRef(id)],
  judge: (loaded, now) => {
    const step = readStep(loaded.record(manualRef(id))?.value);
    if (step === undefined) return refuse('not-found', 'there is no such step');
    const fault = textFault(proof);
    if (fault !== undefined) return invalid([{ path: '/proof', message: fault }]);
    if (step.state !== 'open') return refuse('state', 'the step is done already');
    if (!anybody && ![actor.id, ...persons, ...(actor.names ?? [])].includes(step.assignee)) return refuse('not-permitted', `this step is for ${step.assignee}`);
    const done: ManualStep = { ...step, state: 'done', proof, doneBy: actor.id, doneAt: now.latest };
    return {
      ok: true,
      change: {
        puts: [{ key: manualRef(id), value: asJson(done) }], drops: [openManualRef(id)],
        events: [{ type: 'manual.done', about: [manualRef(id), grantRef(step.grant)], ending: false, data: { step: asJson(done), by: actor.id } }],
        reply: { step: asJson(done) },
      },
    };
  },
});

export const graphRef = (source: string): RecordRef => ({ kind: 'group-graph', id: source });

export const importGroups = (graph: GroupGraph, actor: Actor): Rule => ({
  ends: false,
  needs: () => [graphRef(graph.source)],
  judge: () => {
    const faults = graphFaults(graph);
    if (faults.length > 0) return invalid(faults.slice(0, 50));
    const data = { source: graph.source, groups: graph.groups.length, by: actor.id };
    return { ok: true, change: { puts: [{ key: graphRef(graph.source), value: asJson(graph) }], events: [{ type: 'group.imported', about: [graphRef(graph.source)], ending: false, data }], reply: data } };
  },
});
