/** Everybody in a story who presents a credential; for each of them there must be an issuer. */
import type { Step, TimelineHead } from './schema.ts';
import { subjectOf } from './story.ts';
import type { Subject } from './test-issuer.ts';

export interface PlacedSubject {
  readonly subject: Subject;
  readonly path: readonly PropertyKey[];
}

export const subjectsOf = (head: Pick<TimelineHead, 'workloads'>, steps: readonly Step[]): readonly PlacedSubject[] => {
  const named = Object.keys(head.workloads).map((name): PlacedSubject => ({ subject: subjectOf(head, name), path: ['workloads', name] }));
  const direct = steps.flatMap((step, index): readonly PlacedSubject[] => {
    const act = 'ask' in step ? 'ask' : 'credential';
    const workload = 'ask' in step ? step.ask.workload : 'credential' in step ? step.credential.workload : undefined;
    return workload === undefined || Object.hasOwn(head.workloads, workload) ? [] : [{ subject: { id: workload }, path: ['steps', index, act, 'workload'] }];
  });
  return [...named, ...direct];
};
