/** Signals joined with the lifecycle: webhooks on a listener of their own, pollers as a piece of housekeeping. */
import { readFileSync } from 'node:fs';
import { askPolicy, type AdminPolicy } from '../admin/admin-policy.ts';
import { listenAdmin } from '../admin/listen.ts';
import type { TimeInterval } from '../domain/instant.ts';
import type { Core } from '../compose.ts';
import { defaultRealm, lifecycleDeps } from '../compose.ts';
import type { Executed } from '../lifecycle/execute.ts';
import type { Call, Lifecycle } from '../lifecycle/lifecycle.ts';
import type { Requests } from '../lifecycle/requests.ts';
import { newId } from '../lifecycle/new-id.ts';
import { createRounds, together, type Rounds } from '../lifecycle/rounds.ts';
import { createPoll, type PollDeps } from '../signals/poll.ts';
import { createPeopleFeed } from '../lifecycle/people-feed.ts';
import { createReceive, type SignalPort, type Taken } from '../signals/receive.ts';
import { feedNames } from '../signals/scim/config.ts';
import { createServeScim } from '../signals/scim/serve.ts';
import type { DecisionSaid } from '../signals/interpret.ts';
import type { Log } from '../telemetry/log.ts';
import { errorText } from '../telemetry/log.ts';
import type { Config } from '../config/schema.ts';

const LATER = new Set(['store-unavailable', 'outcome-unknown', 'busy', 'clock-untrusted', 'unavailable']);
const takenOf = (executed: Executed): Taken => (executed.ok ? 'done' : LATER.has(executed.failure.code) ? 'unavailable' : 'refused');

const env = (name: string): string | undefined => process.env[name];

export interface Signals {
  readonly receive: (request: Request) => Promise<Response>;
  readonly rounds: Rounds;
}

const REMAP_AGAIN_MS = 5_000;
const REMAPPED_MS = 24 * 3_600_000;

/** People sources that send to us. Groups mean what they mean in the tokens of operators; `rounds` makes of everybody what they mean since the last reload. */
const createScim = (core: Core, log: Log): { readonly serve: (request: Request) => Promise<Response | undefined>; readonly rounds: Rounds } => {
  const { config } = core;
  const meaningIn = (realm: string): ReadonlyMap<string, string> =>
    new Map(Object.entries(config.admin.operators.groups).flatMap(([group, { team, realms }]) => (team === undefined || realms?.includes(realm) === false ? [] : [[group, team]])));
  const feeds = config.signals.scim.map((feed) => {
    const realm = feed.realm ?? defaultRealm(config);
    const teams = meaningIn(realm);
    const { accounts, adopt, maxUsers: user, maxGroups: group } = feed;
    const port = createPeopleFeed(lifecycleDeps(core, () => undefined), {
      id: feed.id, realm, ...feedNames(feed), teamOf: (name) => teams.get(name), adopt, most: { user, group }, meaning: JSON.stringify([accounts, [...teams].map(([name, team]) => `${name}=${team}`).toSorted((a, b) => (a < b ? -1 : 1))]),
    });
    return { config: feed, port };
  });
  const serve = createServeScim({
    bodyBytesMax: config.signals.bodyBytesMax, secrets: { env }, feeds,
    onOutcome: (feed, outcome, detail) => {
      if (outcome === 'unauthorized') log.warn('a people source shows a wrong token', { source: feed });
      else if (outcome !== 'done') log.warn('a people source was refused', { source: feed, detail: detail ?? outcome });
    },
  });
  return {
    serve,
    rounds: together(feeds.map(({ config: { id }, port }) => {
      let [done, tried] = [false, false];
      return createRounds({
        round: async () => {
          if (done) return;
          tried = true;
          const count = await port.remap();
          done = true;
          if (count > 0) log.info('people of a source have the teams and accounts that the configuration gives them now', { source: id, users: count });
        },
        pauseMs: () => (done ? REMAPPED_MS : tried ? REMAP_AGAIN_MS : 0), monotonicMs: core.clock.monotonicMs,
        onError: (error) => log.error('people of a source could not be brought to what the configuration says now; it is tried again', { source: id, detail: errorText(error) }),
      });
    })),
  };
};

export interface ChatDecisions {
  readonly requests: Pick<Requests, 'approve' | 'deny'>;
  readonly policy: () => AdminPolicy | undefined;
}

interface ChatDecision {
  readonly realm: string;
  readonly source: string;
  readonly said: DecisionSaid;
  readonly delivery: string;
  readonly now: TimeInterval & { readonly trusted: boolean };
}

/** As by that person at the admin API, role and policy included; the message's id is the command's key, so that it counts once. */
const decideByChat = async ({ requests, policy }: ChatDecisions, { realm, source, said: { person, request, what }, delivery, now }: ChatDecision): Promise<Taken> => {
  if (!now.trusted) return 'unavailable';
  const target = 'approve' in what ? { digest: what.approve, id: request } : { reason: what.deny, id: request };
  const operator = { kind: 'operator', id: person, roles: ['approver'], groups: [], persons: [person] } as const;
  const refused = await askPolicy(policy(), { now: now.latest, realm, operator, command: 'approve' in what ? 'request.approve' : 'request.deny', target });
  if (refused !== undefined) return refused.code === 'unavailable' ? 'unavailable' : 'refused';
  const call: Call = { realm, actor: { kind: 'operator', id: person, names: [person] }, idempotency: { principal: `chat:${source}`, key: delivery, body: { person, ...target } } };
  return takenOf(await ('approve' in what ? requests.approve(call, request, what.approve) : requests.deny(call, request, what.deny)));
};

export const createSignals = (core: Core, lifecycle: Pick<Lifecycle, 'signalTask' | 'forgetSignal' | 'revoke'>, log: Log, decisions?: ChatDecisions): Signals => {
  const { config, clock, store } = core;
  const callOf = (realm: string, source: string, delivery: string | undefined, body: unknown): Call => ({
    realm,
    actor: { kind: 'system', id: `signal:${source}` },
    ...(delivery === undefined ? {} : { idempotency: { principal: `signal:${source}`, key: delivery, body: JSON.parse(JSON.stringify(body)) as never } }),
  });
  const port: SignalPort & PollDeps['port'] = {
    task: async (realm, source, signal, delivery) => takenOf(await lifecycle.signalTask(callOf(realm, source, delivery, signal), signal)),
    end: async (realm, source, end, delivery) => takenOf(await lifecycle.revoke(callOf(realm, source, delivery, end), end, true)),
    decide: async (realm, source, said, delivery) => decisions === undefined ? 'unavailable' : decideByChat(decisions, { realm, source, said, delivery, now: clock.now() }),
    forget: (realm, task) => lifecycle.forgetSignal(callOf(realm, 'poller', undefined, {}), task),
  };
  const { signals, realms } = config;
  const receive = createReceive({
    config: signals, defaultRealm: defaultRealm(config), port, secrets: { env }, nowMs: () => clock.now().latest,
    onOutcome: (source, outcome) => {
      if (outcome === 'unsigned') log.warn('a webhook of a source of signals is not signed right', { source });
      else if (outcome === 'malformed' || outcome === 'too-large') log.warn('a webhook of a source of signals can not be read', { source, detail: outcome });
    },
  });
  const scim = createScim(core, log);
  const poll = createPoll({ store, config: signals, realms, port, secrets: { env }, holder: newId(clock.now().latest) });
  const rounds = createRounds({ round: poll.round, pauseMs: () => signals.pollMs, monotonicMs: clock.monotonicMs, onError: (error) => log.error('sources of signals can not be asked', { detail: errorText(error) }) });
  return {
    receive: async (request) => (await scim.serve(request)) ?? receive(request),
    rounds: {
      start: () => {
        rounds.start();
        scim.rounds.start();
      },
      stop: async () => {
        poll.stop();
        await Promise.all([rounds.stop(), scim.rounds.stop()]);
      },
    },
  };
};

/** Rejects when it can't listen. `undefined` where no webhooks are taken. */
export const listenSignals = async ({ signals: { host, port, tls }, limits: { drainMs } }: Config, fetch: (request: Request) => Response | Promise<Response>) =>
  port === false ? undefined : listenAdmin({ host, port, drainMs, fetch, tls: tls && { cert: readFileSync(tls.cert), key: readFileSync(tls.key) } });
