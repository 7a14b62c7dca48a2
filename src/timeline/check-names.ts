/** Names in a timeline: each is made once, and used only after the step that makes it. */
import { nearest } from '../config/nearest.ts';
import type { SchemaFault } from '../config/schema-faults.ts';
import { TIMELINE_LIMITS, type Step, type TimelineHead } from './schema.ts';

type Kind = 'task' | 'grant' | 'suspension' | 'credential' | 'workload';

interface Use {
  readonly kind: Kind;
  readonly name: string;
  readonly path: readonly PropertyKey[];
}

/** An id is no name: it has a colon. */
const isId = (text: string): boolean => text.includes(':');

const madeBy = (step: Step): Use | undefined => {
  if ('open' in step) return { kind: 'task', name: step.open.task, path: ['open', 'task'] };
  if ('grant' in step && step.grant.name !== undefined) return { kind: 'grant', name: step.grant.name, path: ['grant', 'name'] };
  if ('suspend' in step && step.suspend.name !== undefined) return { kind: 'suspension', name: step.suspend.name, path: ['suspend', 'name'] };
  return 'credential' in step ? { kind: 'credential', name: step.credential.name, path: ['credential', 'name'] } : undefined;
};

const workloadUse = (name: string | undefined, path: readonly PropertyKey[]): readonly Use[] => (name === undefined || isId(name) ? [] : [{ kind: 'workload', name, path }]);

const optional = (kind: Kind, name: string | undefined, path: readonly PropertyKey[]): readonly Use[] => (name === undefined ? [] : [{ kind, name, path }]);

const selectorUses = (selector: Readonly<Record<string, unknown>>, at: string): readonly Use[] =>
  Object.entries(selector).flatMap(([kind, value]): readonly Use[] => {
    if (typeof value !== 'string') return [];
    const path = [at, 'selector', kind];
    if (kind === 'workload') return workloadUse(value, path);
    return kind === 'grant' || kind === 'task' || kind === 'credential' ? [{ kind, name: value, path }] : [];
  });

const TASK_ACTS = ['beat', 'pause', 'resume', 'close'] as const;

const usedBy = (step: Step): readonly Use[] => {
  const by = isId(step.by) ? [] : workloadUse(step.by, ['by']);
  const uses = (): readonly Use[] => {
    for (const act of TASK_ACTS) if (act in step) return [{ kind: 'task', name: (step as unknown as Readonly<Record<string, string>>)[act] ?? '', path: [act] }];
    if ('grant' in step) return [...workloadUse(step.grant.workload, ['grant', 'workload']), ...optional('task', step.grant.task, ['grant', 'task'])];
    if ('revoke' in step) return selectorUses(step.revoke.selector, 'revoke');
    if ('suspend' in step) return selectorUses(step.suspend.selector, 'suspend');
    if ('lift' in step) return [{ kind: 'suspension', name: step.lift, path: ['lift'] }];
    if ('credential' in step) return workloadUse(step.credential.workload, ['credential', 'workload']);
    if ('state' in step) return [...optional('grant', 'grant' in step.state ? step.state.grant : undefined, ['state', 'grant']), ...optional('task', 'task' in step.state ? step.state.task : undefined, ['state', 'task'])];
    if ('list' in step) return [...workloadUse(step.list.workload, ['list', 'workload']), ...optional('task', step.list.task, ['list', 'task']), ...step.expect.map((name, index): Use => ({ kind: 'grant', name, path: ['expect', index] }))];
    if (!('ask' in step)) return [];
    const { expect } = step;
    const relied = expect === 'allow' ? undefined : 'deny' in expect ? expect.grant : expect.allow;
    return [
      ...workloadUse(step.ask.workload, ['ask', 'workload']),
      ...optional('credential', step.ask.credential, ['ask', 'credential']),
      ...(typeof relied === 'string' ? [{ kind: 'grant' as const, name: relied, path: ['expect', expect !== 'allow' && 'deny' in expect ? 'grant' : 'allow'] }] : []),
    ];
  };
  return [...by, ...uses()];
};

/** What is wrong with a question's own form, beyond its schema. */
const formFault = (step: Step): SchemaFault | undefined => {
  for (const act of ['revoke', 'suspend'] as const) {
    if (act in step && Object.keys((step as unknown as Readonly<Record<string, { selector: object }>>)[act]?.selector ?? {}).length !== 1) return { path: [act, 'selector'], message: 'must have one member, such as `workload: ...`' };
  }
  if (!('ask' in step)) return undefined;
  const { workload, credential, action, resource, request } = step.ask;
  if (workload !== undefined && credential !== undefined) return { path: ['ask', 'credential'], message: 'excludes workload: a credential has one' };
  if (request === undefined && (action === undefined || resource === undefined)) return { path: ['ask'], message: 'needs action and resource, or a request' };
  return request !== undefined && (action !== undefined || resource !== undefined) ? { path: ['ask', 'request'], message: 'excludes action and resource: routes say what it asks for' } : undefined;
};

const countOf = (given: unknown): number => (Array.isArray(given) ? given.length : 1);

/** The step with which there are too many questions. */
export const questionFault = (steps: readonly Step[]): SchemaFault | undefined => {
  let questions = 0;
  for (const [index, step] of steps.entries()) {
    if ('ask' in step) questions += countOf(step.ask.action) * countOf(step.ask.resource);
    if (questions > TIMELINE_LIMITS.questions) return { path: ['steps', index], message: `at most ${TIMELINE_LIMITS.questions} questions in one story` };
  }
  return undefined;
};

export const nameFaults = ({ workloads }: Pick<TimelineHead, 'workloads'>, steps: readonly Step[]): readonly SchemaFault[] => {
  const known: Record<Kind, Set<string>> = { task: new Set(), grant: new Set(), suspension: new Set(), credential: new Set(), workload: new Set(Object.keys(workloads)) };
  return steps.flatMap((step, index) => {
    const base = ['steps', index];
    const faults: SchemaFault[] = [];
    const form = formFault(step);
    if (form !== undefined) faults.push({ ...form, path: [...base, ...form.path] });
    for (const { kind, name, path } of usedBy(step)) {
      if (known[kind].has(name)) continue;
      const meant = nearest(name, known[kind]);
      faults.push({ path: [...base, ...path], message: `no ${kind} ${JSON.stringify(name)} up to here${meant === undefined ? '' : `; did you mean \`${meant}\`?`}` });
    }
    const made = madeBy(step);
    if (made !== undefined && known[made.kind].has(made.name)) faults.push({ path: [...base, ...made.path], message: `there is a ${made.kind} of this name already` });
    else if (made !== undefined) known[made.kind].add(made.name);
    return faults;
  });
};
