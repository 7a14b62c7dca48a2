/** Opens the decision log of this process, and says in its own log what is wrong with it. */
import type { LineSink } from '../audit/line-sink.ts';
import { createLogRules, type LogGuard, type LogPolicy } from '../audit/log-rules.ts';
import { openDecisionSink } from '../audit/open-sink.ts';
import type { Config } from '../config/schema.ts';
import { errorText, type Log } from '../telemetry/log.ts';

/** `policy`: of a process that makes decisions, the active bundle, which may say what is to be masked. */
export const openLog = ({ decisionLog, limits }: Config, log: Log, policy?: () => LogPolicy | undefined, guard?: LogGuard): LineSink =>
  openDecisionSink(decisionLog, { decides: policy !== undefined, ...(policy === undefined ? {} : { rules: createLogRules(policy, guard) }), waitMs: limits.decisionDeadlineMs, onFailure: (error) => log.error('the decision log can not be written', { detail: errorText(error) }) });
