/** Steps that change something: carried out by the lifecycle, as the admin API and self-service do. */
import type { Instant } from '../domain/instant.ts';
import { plus } from '../domain/instant.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';
import type { Actor } from '../domain/lifecycle/change.ts';
import type { SelectorInput } from '../domain/lifecycle/canonical-selector.ts';
import type { SelectorKind } from '../domain/selector.ts';
import type { Executed } from '../lifecycle/execute.ts';
import type { Call } from '../lifecycle/lifecycle.ts';
import { REALM } from './pdp.ts';
import type { CommandStep, Grant } from './schema.ts';
import { subjectOf, type Mismatch, type Story } from './story.ts';

const known = (names: ReadonlyMap<string, string>, name: string): string => names.get(name) ?? name;

const actorOf = (story: Story, by: string): Actor => {
  const operator = by.startsWith('user:') || by.startsWith('team:');
  return operator ? { kind: 'operator', id: by } : { kind: 'workload', id: subjectOf(story.head, by).id };
};

const optional = <Name extends string, Value>(name: Name, value: Value | undefined): { [Key in Name]?: Value } => (value === undefined ? {} : { [name]: value }) as { [Key in Name]?: Value };

const termsOf = (story: Story, grant: Grant) => {
  const { name: _name, workload, ttl, from, until, task, conditions, ...rest } = grant;
  const at = (offset: number | undefined): Instant | undefined => (offset === undefined ? undefined : plus(story.head.start, offset));
  return {
    ...rest,
    workload: subjectOf(story.head, workload).id,
    conditions,
    ...optional('task', task === undefined ? undefined : known(story.tasks, task)),
    ...optional('ttlMs', ttl),
    ...optional('expiresAt', at(until)),
    // An end alone is from now on.
    ...optional('notBefore', from === undefined && until !== undefined ? story.pdp.now() : at(from)),
  };
};

const selectorOf = (story: Story, selector: Readonly<Record<string, JsonValue>>): SelectorInput => {
  const [[kind, value] = ['', '']] = Object.entries(selector);
  const named = (): JsonValue => {
    if (typeof value !== 'string') return value;
    if (kind === 'workload') return subjectOf(story.head, value).id;
    if (kind === 'grant') return known(story.grants, value);
    if (kind === 'task') return known(story.tasks, value);
    if (kind === 'bundle-revision' && value === 'current') return story.revision;
    const credential = kind === 'credential' ? story.credentials.get(value) : undefined;
    return credential === undefined ? value : { issuer: credential.issuer, jti: credential.jti };
  };
  return { kind: kind as SelectorKind, value: named() };
};

const carryOut = (story: Story, step: CommandStep): Promise<Executed> => {
  const { lifecycle } = story.pdp;
  const call: Call = { realm: REALM, actor: actorOf(story, step.by) };
  if ('open' in step) {
    const { heartbeat, deadline, kind, owner, reference } = step.open;
    return lifecycle.openTask(call, {
      kind, owner, reference, ...optional('heartbeatMs', heartbeat), ...optional('deadline', deadline === undefined ? undefined : plus(story.head.start, deadline)),
    });
  }
  if ('grant' in step) return lifecycle.issueGrant(call, termsOf(story, step.grant));
  if ('revoke' in step) return lifecycle.revoke(call, { selector: selectorOf(story, step.revoke.selector), reason: step.revoke.reason }, false);
  if ('suspend' in step) return lifecycle.suspend(call, { selector: selectorOf(story, step.suspend.selector), reason: step.suspend.reason }, false);
  if ('lift' in step) return lifecycle.lift(call, { id: known(story.suspensions, step.lift), persons: [step.by] });
  if ('beat' in step) return lifecycle.beatTask(call, known(story.tasks, step.beat));
  if ('pause' in step) return lifecycle.pauseTask(call, known(story.tasks, step.pause));
  return 'resume' in step ? lifecycle.resumeTask(call, known(story.tasks, step.resume)) : lifecycle.closeTask(call, known(story.tasks, step.close));
};

const idOf = (reply: JsonObject, member: string): string => {
  const made = reply[member];
  return isJsonObject(made) && typeof made['id'] === 'string' ? made['id'] : '';
};

const remember = (story: Story, step: CommandStep, reply: JsonObject): void => {
  if ('open' in step) story.tasks.set(step.open.task, idOf(reply, 'task'));
  if ('grant' in step && step.grant.name !== undefined) story.grants.set(step.grant.name, idOf(reply, 'grant'));
  if ('suspend' in step && step.suspend.name !== undefined) story.suspensions.set(step.suspend.name, idOf(reply, 'suspension'));
};

/** The mismatch, if what came of the command is not what was expected; `ok` unless the step says otherwise. */
export const runCommand = async (story: Story, step: CommandStep): Promise<Mismatch | undefined> => {
  const executed = await carryOut(story, step);
  const { expect } = step;
  const expected = expect === undefined ? 'it to be carried out' : `refused ${expect.refused}${expect.says === undefined ? '' : ` saying ${JSON.stringify(expect.says)}`}`;
  if (executed.ok) {
    remember(story, step, executed.reply);
    return expect === undefined ? undefined : { expected, actual: 'it carried out' };
  }
  const { code, detail } = executed.failure;
  const fits = expect !== undefined && expect.refused === code && detail.includes(expect.says ?? '');
  return fits ? undefined : { expected, actual: `refused ${code}: ${detail}` };
};
