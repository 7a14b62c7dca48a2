/** Opens the decision log of this process, and says in its own log what is wrong with it. */
import type { LineSink } from '../audit/line-sink.ts';
import { openDecisionSink } from '../audit/open-sink.ts';
import type { Config } from '../config/schema.ts';
import { errorText, type Log } from '../telemetry/log.ts';

/** `decides`: decisions are made by this process. */
export const openLog = ({ decisionLog, limits }: Config, log: Log, decides: boolean): LineSink =>
  openDecisionSink(decisionLog, { decides, waitMs: limits.decisionDeadlineMs, onFailure: (error) => log.error('the decision log can not be written', { detail: errorText(error) }) });
