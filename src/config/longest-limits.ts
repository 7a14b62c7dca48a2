/** A configuration with shorter limits does not take back what was allowed under longer ones: who ends access waits for the longest that this node ever had. */
import type { Longest } from '../store/longest.ts';
import type { Config } from './schema.ts';

export const longestLimits = ({ maxFactsAgeMs, pepCacheMaxMs }: Pick<Config['limits'], 'maxFactsAgeMs' | 'pepCacheMaxMs'>, before?: Longest): Longest => ({
  factsAgeMs: Math.max(maxFactsAgeMs, before?.factsAgeMs ?? 0),
  pepCacheMs: Math.max(pepCacheMaxMs, before?.pepCacheMs ?? 0),
});
