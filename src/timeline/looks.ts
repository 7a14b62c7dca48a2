/** Steps that look: the state of a grant or a task, and which grants there are. */
import { fromRfc3339, plus } from '../domain/instant.ts';
import type { JsonObject, JsonValue } from '../domain/json.ts';
import { REALM } from './pdp.ts';
import type { ListStep, StateStep } from './schema.ts';
import { nameIn, shownInstant, subjectOf, type Mismatch, type Story } from './story.ts';

const PAGE = 1_000;
const UNNAMED = '(without a name)';

const shown = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : JSON.stringify(value));

const stateText = (state: JsonValue | undefined, because: JsonValue | undefined, usesLeft: JsonValue | undefined, until: string | undefined): string =>
  [shown(state), ...(because === undefined ? [] : [`because ${shown(because)}`]), ...(usesLeft === undefined ? [] : [`${shown(usesLeft)} uses left`]), ...(until === undefined ? [] : [`until ${until}`])].join(', ');

const untilOf = (story: Story, view: JsonObject): string | undefined => {
  const expiresAt = typeof view['expiresAt'] === 'string' ? fromRfc3339(view['expiresAt']) : undefined;
  return expiresAt === undefined ? undefined : shownInstant(story, expiresAt);
};

const runState = async (story: Story, step: StateStep): Promise<Mismatch | undefined> => {
  const { inspect } = story.pdp;
  const view = 'grant' in step.state
    ? await inspect.grant(REALM, story.grants.get(step.state.grant) ?? '')
    : await inspect.task(REALM, story.tasks.get(step.state.task) ?? '');
  const { expect } = step;
  const wanted = { usesLeft: 'usesLeft' in expect ? expect.usesLeft : undefined, until: 'until' in expect && expect.until !== undefined ? shownInstant(story, plus(story.head.start, expect.until)) : undefined };
  const until = view === undefined ? undefined : untilOf(story, view);
  // Something that is said to hold must have nothing against it.
  const because = expect.because ?? (expect.state === 'open' ? undefined : view?.['endedBecause']);
  const fits = view !== undefined && view['state'] === expect.state && view['endedBecause'] === because &&
    (wanted.usesLeft === undefined || view['usesLeft'] === wanted.usesLeft) && (wanted.until === undefined || until === wanted.until);
  if (fits) return undefined;
  const actual = view === undefined ? 'it is not there' : stateText(view['state'], view['endedBecause'], view['usesLeft'], until);
  return { expected: stateText(expect.state, expect.because, wanted.usesLeft, wanted.until), actual };
};

const runList = async (story: Story, { list: { workload, task, state, model }, expect }: ListStep): Promise<Mismatch | undefined> => {
  const filter = { state, model, task: task === undefined ? undefined : story.tasks.get(task), workload: workload === undefined ? undefined : subjectOf(story.head, workload).id };
  const { items } = await story.pdp.inspect.grants(REALM, filter, { limit: PAGE });
  const listed = (names: readonly string[]): string => (names.length === 0 ? 'no grants' : names.toSorted().join(', '));
  const [expected, actual] = [listed(expect), listed(items.map(({ id }) => (typeof id === 'string' ? nameIn(story.grants, id) : undefined) ?? UNNAMED))];
  return expected === actual ? undefined : { expected, actual };
};

export const runLook = (story: Story, step: StateStep | ListStep): Promise<Mismatch | undefined> => ('list' in step ? runList(story, step) : runState(story, step));
