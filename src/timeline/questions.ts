/** Steps that ask for access: one evaluation through the whole pipeline, as a gateway would hand it in. */
import type { Decision, Evaluation, Presented } from '../decision/evaluation.ts';
import { canonicalJson, type JsonValue } from '../domain/json.ts';
import { reasonText } from '../domain/reasons.ts';
import { forwardAuth } from '../gateways/http/protocols.ts';
import { httpPolicyInput } from '../gateways/http/policy-input.ts';
import { buildHttpQuestion, type RawHttpRequest } from '../gateways/http-question.ts';
import { REALM } from './pdp.ts';
import type { AskStep, Question } from './schema.ts';
import { nameIn, shownInstant, subjectOf, type Mismatch, type Story } from './story.ts';
import { shownOffset, type ResourceText } from './terms.ts';

const presentedBy = (story: Story, { workload, credential }: Question): Presented => {
  if (credential !== undefined) return { kind: 'bearer', token: story.credentials.get(credential)?.token ?? '' };
  if (workload === undefined) return { kind: 'none' };
  return { kind: 'bearer', token: story.pdp.mint(subjectOf(story.head, workload)).token };
};

const list = <T>(given: T | readonly T[] | undefined): readonly T[] => (given === undefined ? [] : Array.isArray(given) ? (given as readonly T[]) : [given as T]);

const ABSOLUTE = /^([a-z]+):\/\/([^/?#\s]+)([/?][^#\s]*)?$/i;

const rawOf = ({ request, source }: Question): RawHttpRequest | undefined => {
  const [, scheme = '', authority = '', target = '/'] = ABSOLUTE.exec(request?.url ?? '') ?? [];
  if (request === undefined || scheme === '') return undefined;
  const headers = new Map(Object.entries(request.headers).map(([name, value]) => [name.toLowerCase(), [value]]));
  return { method: request.method, scheme: scheme.toLowerCase(), authority, target: target.startsWith('/') ? target : `/${target}`, headers, source };
};

const base = (story: Story, ask: Question) => ({
  id: story.pdp.nextId(), realm: REALM, pep: { id: ask.pep, obligations: [] }, presented: presentedBy(story, ask),
});

/** AuthZEN's words, for a question that names action and resource itself. */
const directly = (story: Story, ask: Question, action: string, resource: ResourceText): Evaluation => {
  const { context, source, workload } = ask;
  return {
    ...base(story, ask),
    protocol: 'authzen',
    question: { action, resource, ...(context === undefined ? {} : { context }), ...(source === undefined ? {} : { source }) },
    input: {
      ...(workload === undefined ? {} : { subject: { type: 'workload', id: subjectOf(story.head, workload).id } }),
      action: { name: action }, resource: { ...resource }, ...(context === undefined ? {} : { context }),
    },
  };
};

const byRequest = (story: Story, ask: Question): Evaluation => {
  const evaluation = { ...base(story, ask), protocol: forwardAuth.name, unable: forwardAuth.unable };
  const raw = rawOf(ask);
  if (raw === undefined) return { ...evaluation, input: {}, refused: 'request.malformed' };
  const asked = buildHttpQuestion(raw, { routes: story.head.config.routes, hosts: 'any' });
  const { context } = ask;
  return {
    ...evaluation,
    input: httpPolicyInput(evaluation.id, raw, asked),
    ...(asked.ok ? { question: { ...asked.question, ...(context === undefined ? {} : { context }) } } : { refused: asked.reason }),
  };
};

interface Asked {
  readonly evaluation: Evaluation;
  /** For people. */
  readonly what: string;
}

const evaluationsOf = (story: Story, ask: Question): readonly (() => Asked)[] => {
  const { request } = ask;
  if (request !== undefined) return [() => ({ evaluation: byRequest(story, ask), what: `${request.method} ${request.url}` })];
  return list(ask.action).flatMap((action) => list(ask.resource).map((resource) => (): Asked => ({ evaluation: directly(story, ask, action, resource), what: `${action} ${resource.type}:${resource.id}` })));
};

const grantName = (story: Story, id: string | undefined): string => (id === undefined ? '' : (nameIn(story.grants, id) ?? 'a grant without a name'));

const headersOf = ({ shaping: { headers } }: Decision): Readonly<Record<string, string>> => Object.fromEntries(headers);

const reasonsOf = ({ shaping: { reasons } }: Decision): readonly JsonValue[] => (Array.isArray(reasons) ? (reasons as readonly JsonValue[]) : []);

const said = (story: Story, decision: Decision): string => {
  if (!decision.allow) {
    const reasons = reasonsOf(decision);
    const near = decision.grant === undefined ? '' : `, grant ${grantName(story, decision.grant)}`;
    return `deny ${decision.reason} (${reasonText(decision.reason)}${near}${reasons.length === 0 || !decision.reason.startsWith('policy.') ? '' : `, policy says ${JSON.stringify(reasons)}`})`;
  }
  const by = decision.standing === undefined ? `by ${grantName(story, decision.grant)}` : `by standing entry ${decision.standing}`;
  return `allow ${by}, valid until ${shownInstant(story, decision.validUntil)}${decision.wouldDeny === undefined ? '' : `, would deny ${decision.wouldDeny}`}`;
};

/** What the step wants and the decision does not have, in words; none when it fits. */
const unmet = (story: Story, { expect }: AskStep, decision: Decision): readonly string[] => {
  const wanted: [string, boolean][] = [];
  const headers = (names: Readonly<Record<string, string>> | undefined): void => {
    for (const [name, value] of Object.entries(names ?? {})) wanted.push([`with header ${name}: ${value}`, headersOf(decision)[name] === value]);
  };
  if (expect === 'allow') return decision.allow ? [] : ['allow'];
  if ('deny' in expect) {
    wanted.push([`deny ${expect.deny}`, !decision.allow && decision.reason === expect.deny]);
    if (expect.grant !== undefined) wanted.push([`with nearest grant ${expect.grant}`, decision.grant === story.grants.get(expect.grant)]);
    if (expect.reasons !== undefined) wanted.push([`with the policy saying ${JSON.stringify(expect.reasons)}`, canonicalJson(expect.reasons) === canonicalJson([...reasonsOf(decision)])]);
  } else {
    const { allow, validUntil, standing, wouldDeny } = expect;
    wanted.push([allow === true ? 'allow' : `allow by ${allow}`, decision.allow && (allow === true || decision.grant === story.grants.get(allow))]);
    if (validUntil !== undefined) wanted.push([`valid until ${shownOffset(validUntil)}`, decision.allow && decision.validUntil === story.head.start + validUntil]);
    if (standing !== undefined) wanted.push([`by standing entry ${standing}`, decision.allow && decision.standing === standing]);
    if (wouldDeny !== undefined) wanted.push([`would deny ${wouldDeny}`, decision.allow && decision.wouldDeny === wouldDeny]);
  }
  headers(expect.headers);
  return wanted.filter(([, fits]) => !fits).map(([text]) => text);
};

/** How many were asked, and the first that was answered otherwise. */
export const runQuestions = async (story: Story, step: AskStep): Promise<{ readonly asked: number; readonly mismatch?: Mismatch }> => {
  const evaluations = evaluationsOf(story, step.ask);
  for (const [index, make] of evaluations.entries()) {
    const { evaluation, what } = make();
    const decision = await story.pdp.decide(evaluation);
    const missing = unmet(story, step, decision);
    if (missing.length > 0) return { asked: index + 1, mismatch: { expected: missing.join(', '), actual: `${said(story, decision)} for ${what}` } };
  }
  return { asked: evaluations.length };
};
