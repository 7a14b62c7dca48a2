/**
 * Who may do what with tasks of a kind, beside having the role: part of the authority floor, which no policy widens. Housekeeping may always
 * write down that a task is over.
 */
import type { Actor } from './change.ts';

export const TASK_ACTS = ['open', 'beat', 'pause', 'resume', 'close'] as const;
export type TaskAct = (typeof TASK_ACTS)[number];
/** What a workload may at most do with a task of its own. */
export const SUBJECT_ACTS = ['beat', 'close'] as const;

export type TaskKind = { readonly [Act in TaskAct]?: readonly string[] | undefined } & {
  readonly subject: readonly (typeof SUBJECT_ACTS)[number][];
};

/** By kind; `*` stands for those not listed. Without any, every kind is everybody's. */
export type TaskKinds = ReadonlyMap<string, TaskKind>;

const ANY: TaskKind = { subject: SUBJECT_ACTS };
/** A kind that is not listed, where others are: nothing new of it, and what is there can only be ended. */
const UNLISTED: TaskKind = { open: [], beat: [], resume: [], subject: ['close'] };

const kindOf = (kinds: TaskKinds, kind: string): TaskKind => (kinds.size === 0 ? ANY : (kinds.get(kind) ?? kinds.get('*') ?? UNLISTED));

/** Why not, or `undefined`. */
export const taskActFault = (kinds: TaskKinds, kind: string, act: TaskAct, actor: Actor): string | undefined => {
  if (actor.kind === 'system') return undefined;
  const rules = kindOf(kinds, kind);
  if (actor.kind === 'workload') return rules.subject.some((allowed) => allowed === act) ? undefined : `a workload may not ${act} tasks of kind ${kind}`;
  const names = rules[act];
  if (names === undefined || names.some((name) => name === actor.id || (actor.names?.includes(name) ?? false))) return undefined;
  return names.length === 0 ? `tasks of kind ${kind} can not be ${act === 'open' ? 'opened' : act === 'beat' ? 'beaten' : `${act}d`}` : `only ${names.join(', ')} may ${act} tasks of kind ${kind}`;
};
