/** The shadow of a worker, as its configuration says. */
import type { Core } from '../compose.ts';
import type { Log } from '../telemetry/log.ts';
import { createShadow, type Shadow } from './shadow.ts';

/** Wall time, on a thread that gives way to every other. */
const BUDGETS = 10;

export const openShadow = ({ config, clock }: Pick<Core, 'config' | 'clock'>, log: Log): Shadow => {
  const { policy, limits, peps } = config;
  const obligations = new Map(peps.map((pep) => [pep.id, pep.obligations]));
  return createShadow({
    clock, log,
    entrypoint: policy.entrypoint,
    load: { entrypoints: [policy.entrypoint], engine: { memoryBytesMax: policy.memoryMaxBytes, inputBytesMax: policy.inputMaxBytes } },
    budgetMs: BUDGETS * limits.evaluationBudgetMs,
    sample: policy.shadow?.sample ?? 1,
    processorShare: policy.shadow?.processorShare ?? 1,
    envelope: (pep) => ({ policyMaySet: limits.policyMaySet, obligations: obligations.get(pep ?? '') ?? [] }),
  });
};
