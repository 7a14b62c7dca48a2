/** An explanation for people: the decision, the facts, the grants, the rules. No line is longer than a terminal is wide. */
import { toRfc3339, type Instant } from '../../domain/instant.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';
import { reasonText } from '../../domain/reasons.ts';
import { fit } from '../print.ts';
import type { Explained } from './explain-facts.ts';
import type { PlacedRule } from './explain.ts';

export interface Explanation extends Explained {
  readonly folder: string;
  readonly entrypoint: string;
  /** Is there an input of a policy at all? */
  readonly asked: boolean;
  /** What the sources say; absent: undefined. */
  readonly result?: JsonValue;
  readonly agrees?: boolean;
  readonly rules: readonly PlacedRule[];
}

const RULES_MAX = 200;
const INDENT = '  ';

type Line = readonly [depth: number, text: string];

const member = (value: JsonValue | undefined, ...names: readonly string[]): JsonValue | undefined =>
  names.reduce<JsonValue | undefined>((at, name) => (isJsonObject(at) && Object.hasOwn(at, name) ? at[name] : undefined), value);
const textOf = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : value === undefined || value === null ? '' : JSON.stringify(value));
const objects = (value: JsonValue | undefined): readonly JsonObject[] => (Array.isArray(value) ? value.filter((item): item is JsonObject => isJsonObject(item)) : []);
const instant = (value: JsonValue | undefined): string => (typeof value === 'number' ? toRfc3339(value as Instant) : '');

const field = (name: string, value: string): readonly Line[] => (value === '' ? [] : [[1, `${name.padEnd(11)}${value}`]]);

const head = ({ record, input }: Explanation): readonly Line[] => {
  const curfew = input['curfew'];
  const asked = field('asked', `${textOf(record?.action ?? member(curfew, 'action'))} ${textOf(record?.resource?.type ?? member(curfew, 'resource', 'type'))}:${textOf(record?.resource?.id ?? member(curfew, 'resource', 'id'))}`);
  const workload = field('workload', record?.workload ?? textOf(member(curfew, 'subject', 'id')));
  if (record === undefined) return [[0, 'an input, no decision'], ...asked, ...workload, ...field('at', textOf(member(curfew, 'now')))];
  const { result, credential, protocol, pep, detail } = record;
  const { allow, reason, wouldDeny, standing, validUntil } = result;
  const title = allow
    ? `allow${standing === undefined ? '' : `, by standing entry ${standing}`}${wouldDeny === undefined ? '' : `; would be denied: ${wouldDeny} (${reasonText(wouldDeny)})`}`
    : `deny: ${reason ?? ''}${reason === undefined ? '' : ` (${reasonText(reason)})`}`;
  return [
    [0, title],
    ...asked, ...workload,
    ...field('at', `${toRfc3339(record.now.latest)}${validUntil === undefined ? '' : `, valid until ${toRfc3339(validUntil)}`}`),
    ...field('through', `${protocol}, ${pep ?? 'a gateway that did not prove who it is'}`),
    ...field('credential', credential === undefined ? 'none that could be believed' : `${credential.kind}${credential.issuer === '' ? '' : ` of ${credential.issuer}`}${credential.expiresAt === undefined ? '' : `, until ${toRfc3339(credential.expiresAt)}`}`),
    ...field('detail', detail ?? ''),
    ...field('decision', record.id),
  ];
};

const aboutGrant = (grant: JsonObject): string =>
  [
    textOf(grant['model']),
    ...(typeof grant['until_ms'] === 'number' ? [`until ${instant(grant['until_ms'])}`] : []),
    ...['task', 'reference', 'entitlement'].flatMap((name) => (textOf(grant[name]) !== '' ? [`${name} ${textOf(grant[name])}`] : [])),
  ].filter((part) => part !== '').join(', ');

const facts = ({ record, input }: Explanation): readonly Line[] => {
  const given = objects(member(input['curfew'], 'grants'));
  const relied = record?.result.allow === true ? record.result.grant : undefined;
  const counted: readonly Line[] = given.map((grant) => [1, `${grant['id'] === relied ? 'used' : 'yes '} ${textOf(grant['id'])}  ${aboutGrant(grant)}`]);
  const failed: readonly Line[] = (record?.facts?.grants ?? []).flatMap(({ id, fault }): readonly Line[] => (fault === undefined ? [] : [[1, `no   ${id}  ${fault}: ${reasonText(fault)}`]]));
  const tasks: readonly Line[] = objects(member(input['curfew'], 'tasks')).map((task) => [1, `task ${textOf(task['id'])}  ${textOf(task['kind'])}, ${textOf(task['state'])}, ${textOf(task['owner'])}`]);
  const looked = record === undefined || record.facts !== undefined || given.length > 0;
  const none: readonly Line[] = counted.length + failed.length > 0 ? [] : [[1, looked ? 'none covers this' : 'not looked at: it was decided before']];
  return [[0, `grants${record?.facts === undefined ? '' : `, as of ${record.facts.position}`}`], ...counted, ...failed, ...none, ...tasks];
};

const ruleLines = (rules: readonly PlacedRule[], depth: number, prefix: string): readonly Line[] =>
  rules.flatMap(({ rule, file, row, line: begins, held, failed, children, skipped }): readonly Line[] => {
    const name = rule.startsWith(prefix) ? rule.slice(prefix.length) : rule;
    const verdict = held > 0 ? `yes  ${name}${held > 1 ? `, ${held} times` : ''}` : `no   ${name}`;
    const stopped: readonly Line[] = failed.map(({ row: at, line }) => [depth + 1, `${held > 0 ? 'not always' : 'stops'} at line ${at}${at === row ? '' : `: ${line}`}`]);
    const left: readonly Line[] = skipped === true ? [[depth + 1, 'left out: one of its comparisons with the input can not hold']] : [];
    return [[depth, `${verdict}  ${file}:${row}  ${begins}`], ...left, ...stopped, ...ruleLines(children, depth + 1, prefix)];
  });

const policyLines = (explanation: Explanation): readonly Line[] => {
  const { record, entrypoint, folder, result, agrees, masked, asked, rules } = explanation;
  const title: Line = [0, `policy ${record?.policy.revision ?? ''}`.trimEnd()];
  if (!asked) return [title, [1, 'was not asked']];
  const recorded = record?.policy.result === undefined ? (record?.policy.fault ?? '') : JSON.stringify(record.policy.result);
  const here = result === undefined ? 'undefined' : JSON.stringify(result);
  const match = agrees === undefined ? '' : agrees ? 'as recorded' : `not as recorded: ${masked.length > 0 ? 'other sources, or a rule reads what is masked' : 'these are not the sources that decided'}`;
  const found = ruleLines(rules, 1, `${entrypoint.split('/').slice(0, -1).join('.')}.`);
  const more: readonly Line[] = found.length > RULES_MAX ? [[1, `... and ${found.length - RULES_MAX} lines more (--json)`]] : [];
  return [
    title,
    ...field('rule', entrypoint), ...field('said', recorded), ...field('here', here), ...field('match', match),
    ...masked.map((place): Line => [1, `masked     ${place}`]),
    [0, `rules of ${folder}`],
    ...found.slice(0, RULES_MAX), ...more,
  ];
};

export const explainText = (explanation: Explanation, columns: number): string =>
  [...head(explanation), ...facts(explanation), ...policyLines(explanation)].map(([depth, text]) => `${fit(`${INDENT.repeat(depth)}${text}`, columns)}\n`).join('');
