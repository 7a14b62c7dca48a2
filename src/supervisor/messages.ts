/** What supervisor and workers say to each other over the IPC channel (structured clones). */
import type { Longest } from '../store/longest.ts';
import type { Instant } from '../domain/instant.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Unconfirmed } from '../lifecycle/deciders.ts';
import type { TraceAsk } from '../gateways/opa/trace.ts';
import type { TracedText } from './policy-trace.ts';
import type { MetricsJson } from '../telemetry/metrics.ts';
import type { Connections, Spread, Spreads } from './spread.ts';
import type { QuarantineList } from './watchdog/quarantine.ts';

export type Mode = 'development' | 'production';

/** What a worker is started with. */
export interface WorkerStart {
  readonly mode: Mode;
  readonly version: string;
  /** Gives the configuration when parsed by its schema. */
  readonly rawConfig: JsonObject;
  /** The bundle that the supervisor has accepted. */
  readonly bundle: Uint8Array;
  /** Of the bundle. */
  readonly digest: string;
  readonly quarantine: QuarantineList;
  /** No time of the worker lies below. */
  readonly clockMark: Instant;
  /** The bundle decides before this instant; `undefined`: without end. */
  readonly bundleUntil: Instant | undefined;
  /** Development: where the key of the identities lies. */
  readonly developmentDir?: string;
  readonly longest: Longest | undefined;
}

export interface WorkerPorts {
  readonly http: number | undefined;
  readonly grpc: number | undefined;
}

/** `look`: metrics as they are, without beginning anew what counts since the last scrape. */
export type Asked = 'metrics' | 'look' | 'health';

export type ToWorker =
  | { readonly type: 'start'; readonly start: WorkerStart }
  | { readonly type: 'bundle'; readonly bundle: Uint8Array; readonly digest: string }
  | { readonly type: 'quarantine'; readonly list: QuarantineList }
  /** The bundle decides before this instant; `undefined`: without end. */
  | { readonly type: 'bundle-until'; readonly until: Instant | undefined }
  /** The candidate beside the active policy; `undefined`: none. */
  | { readonly type: 'shadow'; readonly bundle: Uint8Array | undefined }
  | { readonly type: 'ask'; readonly id: number; readonly what: Asked }
  | { readonly type: 'reload-tls' }
  /** An operator accepted the wall clock as it is. */
  | { readonly type: 'reset-clock' }
  /** What the worker asked for; without a text it can't be had. */
  | { readonly type: 'exposition'; readonly id: number; readonly contentType: string; readonly text?: string }
  /** Of a rule, as JSON; without a text it can't be had. */
  | { readonly type: 'trace'; readonly id: number; readonly told?: TracedText }
  | { readonly type: 'spread'; readonly of: Spreads; readonly spread: Spread }
  /** Has every answer that you re-checked before now left you? */
  | { readonly type: 'left'; readonly id: number }
  /** What the worker wanted to know of all: those of which it is not known. */
  | { readonly type: 'all-left'; readonly id: number; readonly owing: readonly Unconfirmed[] }
  | { readonly type: 'drain' };

export const CLOCK_UNTRUSTED = 'the clock is not trusted';

export interface WorkerHealth {
  readonly ready: boolean;
  /** What is missing, by name. */
  readonly faults: readonly string[];
}

export type FromWorker =
  | { readonly type: 'hello' }
  /** Its event loop turns; every `PULSE_MS`. */
  | { readonly type: 'pulse'; readonly connections: Connections }
  | { readonly type: 'ready'; readonly ports: WorkerPorts }
  | { readonly type: 'failed'; readonly message: string; readonly kind: 'port-in-use' | 'other' }
  | { readonly type: 'bundle'; readonly digest: string; readonly fault?: string }
  | { readonly type: 'metrics'; readonly id: number; readonly metrics: MetricsJson }
  | { readonly type: 'health'; readonly id: number; readonly health: WorkerHealth }
  /** Every answer that it re-checked before it was asked has left it. */
  | { readonly type: 'left'; readonly id: number }
  /** It ended something, and wants to know when every answer that any worker re-checked before has left. */
  | { readonly type: 'want-left'; readonly id: number }
  /** It wants the metrics of the whole node. */
  | { readonly type: 'want-exposition'; readonly id: number }
  /** An operator wants the trace of a rule. */
  | { readonly type: 'want-trace'; readonly id: number; readonly ask: TraceAsk }
  /** The last words of a worker that drained. */
  | { readonly type: 'drained'; readonly metrics: MetricsJson };
