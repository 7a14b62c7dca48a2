/** An operator wants the newest bundle now: every source is asked, and what they give is judged as always. */
import type { BundleRefresh } from '../admin/bundles.ts';
import { BundleRefused } from '../policy/bundle/bundle-refused.ts';
import type { BundleSources } from '../policy/source/open-sources.ts';
import { errorText } from '../telemetry/log.ts';
import type { Changes } from './changes.ts';

export const refreshBundles = async (sources: Pick<BundleSources, 'refresh'>, changes: Pick<Changes, 'bundle'>): Promise<BundleRefresh> => {
  let fault: unknown;
  try {
    await sources.refresh();
  } catch (error) {
    fault = error;
  }
  // Also when one source can't be had: the others may have something new.
  const change = await changes.bundle();
  if (fault === undefined || change.result === 'refused') return change;
  return { ...change, result: fault instanceof BundleRefused ? 'refused' : 'unreachable', detail: errorText(fault) };
};
