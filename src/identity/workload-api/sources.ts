/** Key sources of the trust domains whose bundles the Workload API has. What speaks to it is loaded where it is configured. */
import type { Clock } from '../../decision/ports.ts';
import type { OnIdentityEvent } from '../events.ts';
import type { KeySource } from '../key-source.ts';
import type { WorkloadApiConfig } from './config.ts';

export interface WorkloadSources {
  sourceOf(trustDomain: string): KeySource;
  close(): void;
}

export const createWorkloadSources = (config: WorkloadApiConfig, trustDomains: readonly string[], deps: { readonly clock: Clock; readonly onEvent: OnIdentityEvent }): WorkloadSources => {
  let closed = false;
  let followed: WorkloadSources | undefined;
  const opened = import('./jwt-bundles.ts').then(
    ({ followJwtBundles }) => {
      if (!closed) followed = followJwtBundles({ config, trustDomains, ...deps });
    },
    () => deps.onEvent({ kind: 'keys.failed', issuer: `spiffe://${config.trustDomain}`, detail: 'what speaks to the Workload API can not be loaded' }),
  );
  return {
    sourceOf: (trustDomain) => ({
      current: (latest) => followed?.sourceOf(trustDomain).current(latest),
      refresh: (why) => opened.then(() => followed?.sourceOf(trustDomain).refresh(why)),
      reload: () => opened.then(() => followed?.sourceOf(trustDomain).reload()),
      close: () => undefined,
    }),
    close: () => {
      closed = true;
      followed?.close();
    },
  };
};
