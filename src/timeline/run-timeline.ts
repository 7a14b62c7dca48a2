/** Tells one story from beginning to end and compares. The same text and policy give the same result, byte for byte. */
import type { TimelineFailure, TimelineResult, RunTimeline } from '../cli/policy/timelines.ts';
import type { Policy } from '../decision/ports.ts';
import { faultText } from '../config/fault.ts';
import { plus } from '../domain/instant.ts';
import { runCommand } from './commands.ts';
import { runLook } from './looks.ts';
import { openPdp } from './pdp.ts';
import { runQuestions } from './questions.ts';
import { readTimeline, type PlacedStep, type Timeline } from './read-timeline.ts';
import { subjectOf, type Mismatch, type Story } from './story.ts';
import { shownOffset } from './terms.ts';
import { subjectsOf } from './subjects.ts';

interface StepOutcome {
  readonly asked: number;
  readonly mismatch?: Mismatch | undefined;
  /** Later steps rest on it. */
  readonly stop?: boolean;
}

const runStep = async (story: Story, { step }: PlacedStep): Promise<StepOutcome> => {
  if ('ask' in step) return runQuestions(story, step);
  if ('state' in step || 'list' in step) return { asked: 0, mismatch: await runLook(story, step) };
  if ('credential' in step) {
    const { name, workload, ttl, claims } = step.credential;
    const subject = subjectOf(story.head, workload);
    const credential = story.pdp.mint({ ...subject, ttl: ttl ?? subject.ttl, claims: { ...subject.claims, ...claims } });
    story.credentials.set(name, { ...credential, workload: subject.id });
    return { asked: 0 };
  }
  const mismatch = await runCommand(story, step);
  return { asked: 0, mismatch, stop: mismatch !== undefined };
};

const tell = async ({ head, steps }: Timeline, policy: Policy): Promise<{ readonly failures: readonly TimelineFailure[]; readonly questions: number; readonly steps: number }> => {
  const pdp = await openPdp({ head, policy, subjects: subjectsOf(head, steps.map(({ step }) => step)).map(({ subject }) => subject) });
  const story: Story = { pdp, head, revision: policy.revision, tasks: new Map(), grants: new Map(), suspensions: new Map(), credentials: new Map() };
  const failures: TimelineFailure[] = [];
  let questions = 0;
  let done = 0;
  try {
    for (const placed of steps) {
      await pdp.advanceTo(plus(head.start, placed.atMs), [...story.tasks.values()]);
      const { asked, mismatch, stop = false } = await runStep(story, placed);
      questions += asked;
      done += 1;
      if (mismatch !== undefined) failures.push({ line: stop ? placed.line : placed.expectLine, at: shownOffset(placed.atMs), ...mismatch });
      if (stop) break;
    }
  } finally {
    await pdp.close();
  }
  return { failures, questions, steps: done };
};

const broken = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export const runTimeline: RunTimeline = async ({ name, text }, policyOf): Promise<TimelineResult> => {
  const nothing = { title: name, steps: 0, stepsRun: 0, questions: 0, span: '+0s', failures: [] };
  const read = readTimeline(name, text);
  if (!read.ok) return { ...nothing, faults: read.faults.map(faultText) };
  const { timeline } = read;
  const { head, steps } = timeline;
  const told = { title: head.title, steps: steps.length, span: shownOffset(steps.at(-1)?.atMs ?? 0) };
  let policy: Policy;
  try {
    policy = await policyOf(head.policy);
  } catch (error) {
    return { ...nothing, ...told, faults: [`${name}:${timeline.policyLine}: policy: ${broken(error)}`] };
  }
  const { failures, questions, steps: stepsRun } = await tell(timeline, policy);
  return { ...told, stepsRun, questions, failures, faults: [] };
};
