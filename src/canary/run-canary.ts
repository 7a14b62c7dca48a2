/**
 * One run of a canary: nothing gets through before its grant, something does under it, and nothing does from its end on. Only a question that
 * was sent when the end had certainly come counts against the gateway. It can't show more than it saw: what a gateway does with other paths,
 * workloads or connections, and what it would do without these questions.
 */
import type { Clock } from '../decision/ports.ts';
import type { Instant } from '../domain/instant.ts';
import type { CanaryRun } from '../domain/lifecycle/canary-rules.ts';
import type { CanaryConfig } from './config.ts';

/** What the gateway did with one question; `unclear`: neither access nor a refusal. */
export type Asked = { readonly was: 'open' | 'refused' } | { readonly was: 'unclear'; readonly detail: string };
export type Issued = { readonly grant: string; readonly expiresAt: Instant } | { readonly fault: string };

export interface CanaryDeps {
  readonly config: Pick<CanaryConfig, 'ttlMs' | 'askMs' | 'watchMs'>;
  readonly ask: () => Promise<Asked>;
  readonly issue: () => Promise<Issued>;
  readonly clock: Pick<Clock, 'now'>;
  /** Resolves early when the process ends. */
  readonly sleep: (ms: number) => Promise<void>;
  readonly stopping: () => boolean;
}

const UNCLEAR_MAX = 5;

const unproven = (detail: string, grant?: string): CanaryRun => ({ result: 'unproven', detail, ...(grant === undefined ? {} : { grant }) });
const clearly = (asked: Asked): string => (asked.was === 'unclear' ? asked.detail : asked.was);

/** `undefined`: the process ends, and nothing is said of the gateway. */
export const runCanary = async ({ config, ask, issue, clock, sleep, stopping }: CanaryDeps): Promise<CanaryRun | undefined> => {
  let before = await ask();
  // One answer that went wrong on its way says nothing yet.
  for (let again = 0; again < UNCLEAR_MAX && before.was === 'unclear' && !stopping(); again += 1) {
    await sleep(config.askMs);
    before = await ask();
  }
  if (before.was === 'open') {
    // A run that was broken off may have left a grant; it has ended by then.
    await sleep(config.ttlMs + config.watchMs);
    if (stopping()) return undefined;
    before = await ask();
  }
  if (before.was === 'open') return { result: 'open', detail: 'let through without a canary grant' };
  if (before.was === 'unclear') return unproven(`before the grant: ${before.detail}`);

  const issued = await issue();
  if ('fault' in issued) return unproven(`no grant: ${issued.fault}`);
  const { grant, expiresAt } = issued;
  let last: Asked = before;
  let allowed = false;
  while (clock.now().latest < expiresAt) {
    if (stopping()) return undefined;
    last = await ask();
    if (last.was === 'open') allowed = true;
    await sleep(Math.max(0, Math.min(config.askMs, expiresAt - clock.now().earliest)));
  }
  const watchedUntil = expiresAt + config.watchMs;
  let flipMs: number | undefined;
  for (;;) {
    if (stopping()) return undefined;
    const sent = clock.now();
    const asked = await ask();
    if (sent.earliest >= expiresAt) {
      if (asked.was === 'open') return { result: 'open', grant, detail: `let through ${sent.earliest - expiresAt} ms after the end of the grant` };
      if (asked.was === 'refused') flipMs ??= Math.max(0, clock.now().latest - expiresAt);
      else last = asked;
      if (!(sent.earliest < watchedUntil)) break;
    }
    await sleep(config.askMs);
  }
  if (!allowed) return unproven(`not let through under its grant: ${clearly(last)}`, grant);
  if (flipMs === undefined) return unproven(`neither access nor a refusal after the end: ${clearly(last)}`, grant);
  return { result: 'ended', detail: 'refused before, let through under the grant, refused from its end on', grant, flipMs };
};
