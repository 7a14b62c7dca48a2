/** Bundles over HTTP: look for a newer one now. */
import type { JsonObject } from '../domain/json.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { bundleAnswer } from './schemas.ts';

/** What came of looking; `revision` and `digest` are of the bundle that decides now. */
export interface BundleRefresh {
  /** `unreachable`: a source can't be had now. */
  readonly result: 'active' | 'unchanged' | 'refused' | 'unreachable';
  readonly revision: string;
  readonly digest: string;
  readonly detail?: string;
}

export type RefreshBundles = () => Promise<BundleRefresh>;

export const bundleEndpoints = (refresh: RefreshBundles): readonly Endpoint[] => [
  endpoint({
    method: 'post', path: '/bundles/refresh', command: 'bundle.refresh', summary: 'Look for a newer policy bundle now, on this node', tag: 'bundles',
    answers: { 200: { description: 'The bundle that decides now: `active` when it is a new one, else `unchanged`', schema: bundleAnswer } },
    handle: async () => {
      const { result, revision, digest, detail = '' } = await refresh();
      const stays = `; ${revision} goes on deciding`;
      if (result === 'refused') return { problem: { code: 'bundle-refused', detail: `${detail}${stays}` } };
      if (result === 'unreachable') return { problem: { code: 'unavailable', detail: `${detail}${stays}` } };
      return { status: 200, body: { result, revision, digest } satisfies JsonObject };
    },
  }),
];
