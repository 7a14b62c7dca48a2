/** The cases of the tour: four causes that end access, each shown at work and measured from the cause to the first denial. */
import type { JsonObject } from '../domain/json.ts';
import { nowMs, shown, useUntilDenied, wait, type Tour, type Workload } from './tour.ts';

const POLL_MS = 10;
const GIVE_UP_MS = 10_000;

const text = (object: JsonObject, member: string): string => {
  const value = object[member];
  if (typeof value !== 'string') throw new Error(`the answer has no ${member}`);
  return value;
};

const scope = (action: string, id: string): JsonObject => ({ actions: [action], resource: { type: 'http', id } });

const expectDenied = async (tour: Tour, workload: Workload, reason: string, before: string): Promise<void> => {
  const answer = await workload.use();
  tour.say(`${before}: ${shown(answer)}`);
  tour.check(!answer.allowed && answer.reason === reason, `${before} must be denied with ${reason}`);
};

const expectAllowed = async (tour: Tour, workload: Workload, when: string): Promise<void> => {
  const answer = await workload.use();
  tour.say(`${when}: ${shown(answer)}`);
  tour.check(answer.allowed, `${when} must be allowed`);
};

const expectFlip = async (tour: Tour, workload: Workload, reason: string, cause: string, causeMs: () => number, everyMs = POLL_MS, usesBefore = 0): Promise<void> => {
  const { allowed, answer, deniedAt } = await useUntilDenied(workload, everyMs, GIVE_UP_MS);
  tour.say(`${allowed} more uses allowed, then ${shown(answer)}`);
  tour.check(!answer.allowed && answer.reason === reason, `it must flip to ${reason}`);
  tour.check(allowed >= usesBefore, `it must be allowed ${usesBefore} times before`);
  tour.measured(cause, deniedAt - causeMs());
  await expectDenied(tour, workload, reason, 'and it stays so');
};

export const ciJob = async (tour: Tour): Promise<void> => {
  tour.begin('1. A CI job deploys: a grant of 5 s, used every 100 ms until it flips');
  const job = await tour.workload('ci/deployer', 'POST', 'deploy.local', '/releases');
  await expectDenied(tour, job, 'grant.none', 'before the grant');
  const grant = await tour.operate('/v1/grants', {
    workload: job.id, model: 'time-boxed', scopes: [scope('POST', 'deploy.local/releases')], ttlMs: 5_000,
    owner: 'team:release', justification: 'release 4.2', reference: 'CHG-1042',
  });
  tour.say(`grant issued, ends ${text(grant, 'expiresAt')}`);
  await expectFlip(tour, job, 'grant.expired', 'the end of the grant', () => Date.parse(text(grant, 'expiresAt')), 100, 1);
};

export const aiAgent = async (tour: Tour): Promise<void> => {
  const agent = await tour.workload('agents/helper', 'GET', 'kb.local', '/articles/7');
  const bound = async (heartbeatMs?: number): Promise<string> => {
    const task = await tour.operate('/v1/tasks', { kind: 'ticket', owner: 'team:support', reference: 'TICKET-77', ...(heartbeatMs === undefined ? {} : { heartbeatMs }) });
    await tour.operate('/v1/grants', {
      workload: agent.id, model: 'jit', task: text(task, 'id'), scopes: [scope('GET', 'kb.local/articles/**')], ttlMs: 600_000,
      owner: 'team:support', justification: 'answer the ticket',
    });
    return text(task, 'id');
  };

  tour.begin('2. An AI agent works on a ticket: its access dies when the ticket closes');
  const ticket = await bound();
  await expectAllowed(tour, agent, 'while the ticket is open');
  const closing = nowMs();
  await tour.operate(`/v1/tasks/${ticket}/close`, {});
  await expectFlip(tour, agent, 'task.closed', 'the close of the ticket', () => closing);

  tour.begin('3. The agent works on the next ticket and beats every 300 ms; then it hangs');
  const second = await bound(1_000);
  let lastBeat = nowMs();
  for (let beat = 0; beat < 6; beat += 1) {
    await wait(300);
    lastBeat = nowMs();
    await agent.self(`/self/v1/tasks/${second}/heartbeat`);
  }
  await expectAllowed(tour, agent, 'after 1.8 s of beats, due every 1 s');
  await expectFlip(tour, agent, 'task.heartbeat', 'the missed beat', () => lastBeat + 1_000);
};

export const leakedCredential = async (tour: Tour): Promise<void> => {
  tour.begin('4. A credential leaks: it dies on revoke, used all the time by a thief');
  const service = await tour.workload('services/billing', 'GET', 'ledger.local', '/accounts/9');
  await tour.operate('/v1/grants', {
    workload: service.id, model: 'time-boxed', scopes: [scope('GET', 'ledger.local/accounts/**')], ttlMs: 600_000,
    owner: 'team:billing', justification: 'nightly reconciliation', reference: 'JOB-9',
  });
  await expectAllowed(tour, service, 'the thief, with the copied token');
  const thief = useUntilDenied(service, 1, GIVE_UP_MS);
  await wait(200);
  const revokedAt = nowMs();
  const revocation = await tour.operate('/v1/revocations', { selector: { kind: 'workload', value: service.id }, reason: 'token found in a public log' });
  const returnedAt = nowMs();
  const afterwards = await service.use();
  tour.say(`revoke returned after ${(returnedAt - revokedAt).toFixed(0)} ms, enforced at ${text(revocation, 'enforcedAt')}`);
  tour.check(!afterwards.allowed, 'nothing may be allowed once revoke has returned');
  const { allowed, answer, deniedAt } = await thief;
  tour.say(`${allowed} uses by the thief before, then ${shown(answer)}`);
  tour.check(!answer.allowed && answer.reason === 'subject.revoked', 'the thief must be stopped by the revocation');
  tour.check(deniedAt <= returnedAt + 1_000, 'the thief must be stopped by the time revoke returns');
  tour.measured('the call of revoke', deniedAt - revokedAt);
};

export const breakGlass = async (tour: Tour): Promise<void> => {
  tour.begin('5. Break-glass: an on-call engineer\'s tool gets 3 s, and the timer runs from issuance');
  const tool = await tour.workload('oncall/console', 'POST', 'db.local', '/failover');
  const grant = await tour.operate('/v1/grants', {
    workload: tool.id, model: 'break-glass', scopes: [scope('POST', 'db.local/failover')], ttlMs: 3_000,
    owner: 'team:database', justification: 'primary is down', reference: 'INC-311',
  });
  tour.say(`grant issued for incident INC-311, ends ${text(grant, 'expiresAt')}; nobody uses it for 1.5 s`);
  await wait(1_500);
  await expectAllowed(tour, tool, 'the first use');
  await expectFlip(tour, tool, 'grant.expired', 'the end of the timer', () => Date.parse(text(grant, 'expiresAt')));
};
