/** Tasks over HTTP. */
import type { JsonObject } from '../domain/json.ts';
import type { Command } from '../domain/lifecycle/roles.ts';
import type { Task } from '../domain/task.ts';
import type { Done, Executed } from '../lifecycle/execute.ts';
import type { Inspect } from '../lifecycle/inspect.ts';
import type { Call, Lifecycle } from '../lifecycle/lifecycle.ts';
import { enforcementView, pageView, taskView, type EnforcementView } from '../lifecycle/view.ts';
import { endpoint, type Answer, type Endpoint } from './endpoint.ts';
import { done, found } from './answers.ts';
import { endedStatus, wantsAsync } from './endings.ts';
import { openTaskBody, pageAnswer, pageQuery, taskAnswer } from './schemas.ts';

const tag = 'tasks';

const asView = (reply: JsonObject, { at, position }: Done, told?: EnforcementView): JsonObject =>
  taskView(reply['task'] as unknown as Task, { earliest: at, latest: at }, position, told);

const answered = (executed: Executed, status: number): Answer => done(executed, status, (reply, commit) => asView(reply, commit));

const change = (name: string, command: Command, summary: string, run: (call: Call, id: string) => Promise<Executed>): Endpoint =>
  endpoint({
    method: 'post', path: `/tasks/{id}/${name}`, command, summary, tag,
    answers: { 200: { description: 'The task as it is now', schema: taskAnswer } },
    handle: async ({ call, params }) => answered(await run(call, params['id'] ?? ''), 200),
  });

/** A change that ends access: answered when it is enforced, or at once with 202 for `Prefer: respond-async`. */
const ending = (name: string, command: Command, summary: string, run: (call: Call, id: string, respondAsync: boolean) => Promise<Executed>): Endpoint =>
  endpoint({
    method: 'post', path: `/tasks/{id}/${name}`, command, summary, tag,
    answers: { 200: { description: 'The task as it is now; enforced', schema: taskAnswer }, 202: { description: 'Committed; enforced shortly, or when each process that is `pending` has confirmed it or ended', schema: taskAnswer } },
    handle: async ({ call, params, headers }) => done(await run(call, params['id'] ?? '', wantsAsync(headers)), endedStatus(200), (reply, commit) => asView(reply, commit, enforcementView(commit))),
  });

export const taskEndpoints = (lifecycle: Lifecycle, inspect: Inspect): readonly Endpoint[] => [
  endpoint({
    method: 'post', path: '/tasks', command: 'task.open', summary: 'Open a task', tag, body: openTaskBody,
    answers: { 201: { description: 'The task', schema: taskAnswer } },
    handle: async ({ call, body: { source, ...command } }) => answered(await lifecycle.openTask(call, command, source), 201),
  }),
  change('heartbeat', 'task.beat', 'Say that the task goes on', lifecycle.beatTask),
  ending('pause', 'task.pause', 'Pause the task: its grants do not hold meanwhile', lifecycle.pauseTask),
  change('resume', 'task.resume', 'Resume a paused task', lifecycle.resumeTask),
  ending('close', 'task.close', 'Close the task for good', lifecycle.closeTask),
  endpoint({
    method: 'get', path: '/tasks', command: 'task.read', summary: 'List tasks', tag, query: pageQuery,
    answers: { 200: { description: 'A page of tasks', schema: pageAnswer(taskAnswer) } },
    handle: async ({ realm, query }) => ({ status: 200, body: pageView(await inspect.tasks(realm, query)) }),
  }),
  endpoint({
    method: 'get', path: '/tasks/{id}', command: 'task.read', summary: 'One task', tag,
    answers: { 200: { description: 'The task', schema: taskAnswer } },
    handle: async ({ realm, params }) => found(await inspect.task(realm, params['id'] ?? ''), 'task'),
  }),
];
