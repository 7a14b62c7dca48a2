/** Can this process serve decisions? The store can be read and written, a policy is active, the clock is trusted, keys are there. */
import type { Core } from '../compose.ts';
import { CLOCK_UNTRUSTED, type WorkerHealth } from './messages.ts';

const EVERY_MS = 1_000;

export interface Readiness {
  now(): WorkerHealth;
  /** Resolves after the first look. */
  start(): Promise<void>;
  stop(): void;
}

export const watchReadiness = (core: Pick<Core, 'clock' | 'store' | 'authenticator'>, { policyActive, tlsFault }: { readonly policyActive: () => boolean; readonly tlsFault: () => string | undefined }, onChange: (ready: boolean) => void): Readiness => {
  let storeFault: string | undefined = 'the store was not looked at yet';
  let timer: NodeJS.Timeout | undefined;
  let told: boolean | undefined;

  const faultsNow = (): readonly string[] => {
    const issuers = core.authenticator.status();
    const without = issuers.filter(({ keys }) => keys === undefined);
    const tls = tlsFault();
    return [
      ...(tls === undefined ? [] : [tls]),
      ...(storeFault === undefined ? [] : [storeFault]),
      ...(policyActive() ? [] : ['no policy bundle is active']),
      ...(core.clock.now().trusted ? [] : [CLOCK_UNTRUSTED]),
      // One issuer that can't be reached must not take the others' users down.
      ...(issuers.length > 0 && without.length === issuers.length ? ['no issuer has keys'] : []),
    ];
  };
  const now = (): WorkerHealth => {
    const faults = faultsNow();
    return { ready: faults.length === 0, faults };
  };
  const look = async (): Promise<void> => {
    try {
      const { readable, writable, detail } = await core.store.health();
      storeFault = readable && writable ? undefined : `the store can not be ${readable ? 'written' : 'read'}${detail === undefined ? '' : ` (${detail})`}`;
    } catch {
      storeFault = 'the store can not be read';
    }
    const { ready } = now();
    if (ready !== told) onChange((told = ready));
  };

  return {
    now,
    start: async () => {
      await look();
      timer = setInterval(() => void look(), EVERY_MS);
      timer.unref();
    },
    stop: () => {
      clearInterval(timer);
      storeFault = 'this process ends';
      onChange(false);
    },
  };
};
