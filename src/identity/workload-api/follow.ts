/**
 * Follows one stream of the SPIFFE Workload API for as long as the process lives. A stream that ends is opened again, failures back off with jitter;
 * a stream that is silent is replaced at `refreshMs`. What a stream says is as old as the stream: an answer that lay in a socket while the process slept
 * must not pass for fresh. PermissionDenied takes everything back at once; any other loss leaves what is known, for whoever holds it to let it age.
 */
import type { Clock } from '../../decision/ports.ts';
import type { Instant } from '../../domain/instant.ts';
import { openServerStream } from '../../grpc/server-stream.ts';
import { GRPC_STATUS } from '../../grpc/status.ts';
import { workloadApiAddress, type WorkloadApiConfig } from './config.ts';

const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 4_000;
export const WORKLOAD_MESSAGE_BYTES_MAX = 4_194_304;
/** A server that talks without pause is heard this often. */
const TAKE_MS_MIN = 50;

/** Since when something is known, on both clocks. */
export interface Stamp {
  readonly monotonicMs: number;
  readonly latest: Instant;
}

export const isYoung = (since: Stamp | undefined, maxAgeMs: number, clock: Clock, latest: Instant): boolean =>
  since !== undefined && clock.monotonicMs() - since.monotonicMs < maxAgeMs && latest - since.latest < maxAgeMs;

export interface FollowOptions {
  readonly config: WorkloadApiConfig;
  readonly method: string;
  readonly clock: Clock;
  /** Takes one message, or says what is wrong with it (then nothing of it counts and the stream is given up). */
  readonly take: (message: Buffer, since: Stamp) => string | undefined;
  /** The API says that this process may not have it (any more). */
  readonly withdrawn: () => void;
  /** Once for each state of affairs; `undefined`: it is well again. */
  readonly onFault: (detail: string | undefined) => void;
}

export interface Followed {
  /** Resolves when the first stream has answered or failed. */
  readonly tried: Promise<void>;
  /** Opens a new stream now; resolves as `tried` does. */
  again(): Promise<void>;
  close(): void;
}

const EMPTY = new Uint8Array();

export const followWorkloadApi = ({ config, method, clock, take, withdrawn, onFault }: FollowOptions): Followed => {
  const address = workloadApiAddress(config.address);
  if (address === undefined) throw new Error('the address of the Workload API is none');
  let closed = false;
  let failures = 0;
  let told: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  /** The stream that has answered. */
  let live: (() => void) | undefined;
  let opening: { readonly close: () => void; readonly settled: Promise<void> } | undefined;

  const schedule = (delayMs: number): void => {
    clearTimeout(timer);
    if (closed) return;
    timer = setTimeout(() => void open(), delayMs);
    timer.unref();
  };
  const tell = (detail: string | undefined): void => {
    if (detail !== told) onFault(detail);
    told = detail;
  };
  const failed = (detail: string): void => {
    failures += 1;
    tell(detail);
    schedule(Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(failures - 1, 16)) * (0.5 + Math.random() / 2));
  };

  const open = (): Promise<void> => {
    if (closed) return Promise.resolve();
    if (opening !== undefined) return opening.settled;
    const since: Stamp = { monotonicMs: clock.monotonicMs(), latest: clock.now().latest };
    let settle = (): void => undefined;
    const settled = new Promise<void>((resolve) => { settle = resolve; });
    let answered = false;
    let waiting: Buffer | undefined;
    let pause: NodeJS.Timeout | undefined;
    const stop = (): void => {
      clearTimeout(patience);
      clearTimeout(pause);
      closeStream();
      if (opening?.close === stop) opening = undefined;
      if (live === stop) live = undefined;
      settle();
    };
    const giveUp = (detail: string): void => {
      stop();
      failed(`the Workload API ${detail}`);
    };
    const patience = setTimeout(() => giveUp(`gave no answer within ${config.timeoutMs} ms`), config.timeoutMs);
    patience.unref();
    const heard = (message: Buffer): void => {
      if (pause !== undefined) {
        waiting = message;
        return;
      }
      pause = setTimeout(() => {
        pause = undefined;
        const next = waiting;
        waiting = undefined;
        if (next !== undefined) heard(next);
      }, TAKE_MS_MIN);
      pause.unref();
      let fault: string | undefined;
      try {
        fault = take(message, since);
      } catch {
        fault = 'sent a message that can not be read';
      }
      if (fault !== undefined) return giveUp(fault);
      if (answered) return;
      answered = true;
      clearTimeout(patience);
      live?.();
      live = stop;
      opening = undefined;
      failures = 0;
      tell(undefined);
      schedule(config.refreshMs * (0.9 + Math.random() / 10));
      settle();
    };
    const closeStream = openServerStream({
      address, method, message: EMPTY, messageBytesMax: WORKLOAD_MESSAGE_BYTES_MAX,
      metadata: { 'workload.spiffe.io': 'true' },
      onMessage: heard,
      onEnd: ({ status, detail }) => {
        if (status === GRPC_STATUS.PERMISSION_DENIED) withdrawn();
        giveUp(detail);
      },
    });
    opening = { close: stop, settled };
    return settled;
  };

  return {
    tried: open(),
    again: open,
    close: () => {
      closed = true;
      clearTimeout(timer);
      opening?.close();
      live?.();
    },
  };
};
