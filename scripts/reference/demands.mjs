/** docs/reference/demands.md: what users demand of temporary access, with the tests that show it. */
import { notice, table } from './page.mjs';

/**
 * The demand, and what is still missing although tests show a part. A demand that no test names is not met, whatever the code
 * does.
 */
const DEMANDS = [
  ['The end holds at every point that can let access through.'],
  ['Access is judged anew at each use, not once at the login.'],
  ['Tickets, accounts, secrets, runtime and resource agree that it ended: one of them closes all.'],
  ['Short-lived access is issued in one place, with a longest time.'],
  ['Nobody prolongs an exception by hand.'],
  ['Revoking works at once, wherever the access is used.', 'Only where Curfew is asked: it does not reach into databases, clusters or SaaS.'],
  ['What was cached does not outlive the session; secrets are rotated.', 'Credentials that Curfew is shown; what another system remembers of a session or a secret it does not reach.'],
  ['The record says who approved, who used it, and when it was really gone.'],
  ['The whole chain behind an access counts, not only the login.'],
  ['Policy is checked at run time, and the identity of the workload is verified.'],
  ['Systems that can not be told about an end are known, the riskiest first.'],
  ['The end of a session is not taken for the end of the access.'],
  ['A credential that lives longer than its approval is refused or cut.'],
  ['What ended can not be used again: no id, task or approval.'],
  ['Federated trust, scattered secrets and nested delegation are covered.'],
  ['What is not judged anew is reported as advisory.'],
  ['Three models of access for three uses, each with controls of its own.'],
  ['Time-boxed access has a start and an end.'],
  ['Just-in-time access begins with an approved task and ends with it.'],
  ['Break-glass access is for emergencies, watched closely and reviewed.'],
  ['Approval, use, log and revocation hang together by one id.'],
  ['Access names the task, change window or incident it is for.'],
  ['It has a justification, and an owner who can vouch for the need.'],
  ['Issuing, using, scope and revoking are separate events.'],
  ['It ends on the timer or with the task, whichever is first.'],
  ['There are alerts when access is prolonged, reused or bypassed.'],
  ['Two persons approve where that is required.'],
  ['The window is as small as the work allows, by sensitivity.'],
  ['An account makes no new sessions or tokens out of its window.'],
  ['Break-glass never becomes the convenient way.'],
  ['Agents and services are not run through patterns for human administrators.'],
  ['Access is measured, short and can be taken back, and that is proved.'],
  ['The identity of the workload comes before standing entitlements.'],
  ['Every identity, secret and approval path has an owner.'],
  ['Issuing, renewing, rotating and removing are one set of controls.'],
  ['Access is bound to a defined task, and who may ask for what is said.'],
  ['The workload is the point of control, not the secret alone.'],
  ['An end is enforced; reminders do not count.'],
  ['Access is gone when its job ends, with no later cleanup.'],
  ['Owners confirm regularly that access is still needed.'],
  ['No temporary credential without owner, end and a way to revoke it.'],
  ['A busy CI system does not outrun the ends.'],
  ['Exceptions are explicit, owned and end by their risk.'],
  ['Who approves, who is alerted and how orphans are found is defined.'],
  ['Accounts and credentials that nobody owns are found.'],
  ['What must be revoked by hand is visible as such.'],
  ['Whether access lives on after its task is watched.'],
  ['It is gone downstream too: in caches and inherited roles.'],
  ['Approving, issuing, enforcing and revoking are layers that can be told apart.'],
  ['A token or secret does not outlive its task.'],
  ['Systems downstream really honour a revocation, which is verified.', 'Gateways are, by canary grants, and systems by their access logs; what a database or SaaS does inside is not asked.'],
  ['Access holds only where and in the context it was given for.'],
  ['It holds across regions, aggressive caches, meshes and foreign APIs.', 'Across replicas of one Redis and in the caches of gateways; foreign APIs are not reached, and two regions of one store that both take writes are not served.'],
  ['What a resource does with lifetimes and revocations is measured first.', 'Canary grants measure gateways, on a schedule; no grade stands in the way of a first grant.'],
  ['Inherited and nested roles do not widen it again.'],
  ['A secret that some middleware kept is of no use.', 'Before its end only where it is bound to a key or certificate; any bearer token may be used by whoever has it until then.'],
  ['Recurring access follows the task, not a user session.'],
  ['One question answers whether a credential still works anywhere.'],
  ['The end is part of the access itself.'],
  ['A long-lived token is no access without a live grant.'],
  ['A pipeline gets ten minutes, and they end with the release.'],
  ['An agent reads what its ticket needs, and no longer than the ticket.'],
  ["A break-glass timer starts when it is issued, and is never prolonged without approval."],
  ['A migration reaches the schema only, and ends before the next window.', 'Curfew refuses each further use; it does not end a session in the database.'],
  ['Ending access goes with rotating the secret.', 'As a step with assignee, deadline and proof for each end; Curfew rotates no secret itself and does not look whether it was.'],
  ['The control plane enforces it; nobody has to clean up.'],
  ['Durations fit provisioning, monitoring and leaving.'],
  ['Entitlements are the least that is needed, and their ends are reviewed.'],
  ['A replayed or leaked token is worth little.'],
  ['What maps to which standard is generated, not claimed.'],
];

const ORDER = ['shown', 'in part', 'not yet'];

const rowOf = ([text, missing], index, tests) => {
  const own = tests.filter(({ demand }) => demand === index + 1);
  const state = own.length === 0 ? 'not yet' : missing === undefined ? 'shown' : 'in part';
  const list = own.map(({ file, name }) => `[${name.replaceAll(/[[\]]/g, '\\$&').replaceAll('<', '&lt;')}](../../${file})`);
  return { state, cells: [String(index + 1), text, state, [...(missing === undefined || own.length === 0 ? [] : [`*${missing}*`]), ...list].join('\n')] };
};

/** `shown`, `in part` or `not yet`, by the number of the demand, from 1 at place 0. */
export const demandStates = (tests) => DEMANDS.map((demand, index) => rowOf(demand, index, tests).state);

/** `tests`: what `demandTests` found. */
export const renderDemands = (tests) => {
  const unknown = tests.filter(({ demand }) => !(demand >= 1 && demand <= DEMANDS.length));
  if (unknown.length > 0) throw new Error(`no such demand: ${unknown.map(({ demand, file }) => `${demand} in ${file}`).join(', ')}`);
  const rows = DEMANDS.map((demand, index) => rowOf(demand, index, tests));
  const counts = ORDER.map((state) => `${rows.filter((row) => row.state === state).length} ${state}`).join(', ');
  return `${notice('the names of the tests')}
# What users demand of temporary access

Seventy demands of people who run temporary access for workloads, and the tests that show them met. A demand counts only by tests
that would fail if the behaviour went away; a test says which it shows by \`demand(7)\` in its name. "In part" says what is missing. What
no test names is "not yet", also where the code may do some of it: take it as advice, not as a property.

Now: ${counts}.

${table(['#', 'demand', 'state', 'missing, and tests'], rows.map(({ cells }) => cells))}`;
};
