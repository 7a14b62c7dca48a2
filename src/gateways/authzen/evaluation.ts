/** From AuthZEN's entities to one evaluation. Total: what may not be asked becomes an evaluation that is refused with its reason. */
import type { Evaluation, Presented } from '../../decision/evaluation.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { Reason } from '../../domain/reasons.ts';
import { withBase, type Caller, type Writable } from '../http/caller.ts';
import type { HttpQuestionRules } from '../http-question.ts';
import { accessFault } from '../resource.ts';
import { subjectOf, valueAt, without } from '../subject.ts';
import type { Entities } from './entities.ts';

export interface Asker {
  readonly caller: Caller;
  readonly rules: HttpQuestionRules;
  /** Steps to the credential of the subject. */
  readonly credentialAt: readonly string[];
  readonly base: Pick<Evaluation, 'traceparent' | 'arrivedMs'>;
}

/** A policy's headers and the like have no words here: an allow that asks for them is none. */
const NONE: Presented = { kind: 'none' };
const UNABLE = { removeHeaders: true, query: true, headers: 'any' } as const;

export const refusedEvaluation = (id: string, asker: Asker, reason: Reason): Evaluation => ({
  ...asker.base, id, realm: asker.caller.realm, pep: asker.caller.pep, protocol: 'authzen', unable: UNABLE, presented: NONE, input: {}, refused: asker.caller.fault ?? reason,
});

export const evaluationOf = (id: string, entities: Entities, asker: Asker): Evaluation => {
  const { caller, credentialAt, rules } = asker;
  const document = entities as unknown as JsonObject;
  const { subject: { id: workload }, action: { name }, resource: { type, id: resourceId } } = entities;
  const action = name as string;
  const resource = { type: type as string, id: resourceId as string };
  const credential = valueAt(document, credentialAt);
  const subject = subjectOf(credential, workload as string | undefined, caller.config);
  const refused = caller.fault ?? (subject.ok ? undefined : subject.reason) ?? accessFault(action, resource, rules);
  // A name that a credential takes the place of was proved by nobody: no policy may go by it.
  const input = credential === undefined ? document : without(without(document, credentialAt), ['subject', 'id']);
  const context = input['context'] as JsonObject | undefined;
  // Members are assigned: V8 makes a class of its own for every object that begins with a spread and then grows.
  const evaluation: Writable<Evaluation> = {
    id, realm: caller.realm, protocol: 'authzen', pep: caller.pep, unable: UNABLE,
    presented: subject.ok ? subject.presented : NONE,
    input,
    question: context === undefined ? { action, resource } : { action, resource, context },
  };
  if (refused !== undefined) evaluation.refused = refused;
  return withBase(evaluation, asker.base);
};
