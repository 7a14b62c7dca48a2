/** What a running story knows: its names, and what it came to. */
import type { Instant } from '../domain/instant.ts';
import type { Pdp } from './pdp.ts';
import type { TimelineHead } from './schema.ts';
import { shownOffset } from './terms.ts';
import type { Credential, Subject } from './test-issuer.ts';

export interface Mismatch {
  readonly expected: string;
  readonly actual: string;
}

export interface Story {
  readonly pdp: Pdp;
  /** Of the policy it is told to. */
  readonly revision: string;
  readonly head: Pick<TimelineHead, 'start' | 'workloads' | 'config'>;
  readonly tasks: Map<string, string>;
  readonly grants: Map<string, string>;
  readonly suspensions: Map<string, string>;
  readonly credentials: Map<string, Credential & { readonly workload: string }>;
}

/** A subject by its name in `workloads`, or by id. */
export const subjectOf = ({ workloads }: Pick<TimelineHead, 'workloads'>, name: string): Subject => {
  const found = Object.hasOwn(workloads, name) ? workloads[name] : name;
  return typeof found === 'object' ? found : { id: found ?? name };
};

export const nameIn = (names: ReadonlyMap<string, string>, id: string): string | undefined => [...names].find(([, known]) => known === id)?.[0];

export const shownInstant = ({ head }: Story, instant: Instant): string => shownOffset(instant - head.start);
