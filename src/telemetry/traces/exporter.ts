/**
 * Sends spans to a receiver of OTLP/HTTP, in batches. Traces are help, not the record: a receiver that is away holds up nothing, memory is
 * bounded, and what does not fit is dropped and counted. Never throws.
 */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { readBounded } from '../../bounded/file.ts';
import { post } from '../../bounded/post.ts';
import type { TracesConfig } from './config.ts';
import { otlpRequest, type Attributes, type Span } from './span.ts';

const zip = promisify(gzip);
const SECRET_BYTES_MAX = 8_192;
const CA_BYTES_MAX = 1_000_000;
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 30_000;
/** What a receiver may have again, by the specification. */
const AGAIN = new Set([429, 502, 503, 504]);

export interface SpanExporter {
  /** All or none of them. */
  take(spans: readonly Span[]): void;
  readonly stats: () => { readonly dropped: number; readonly sent: number };
  /** Sends what is left, once. */
  close(): Promise<void>;
}

export interface SpanExporterOptions {
  readonly config: TracesConfig;
  readonly resource: Attributes;
  readonly version: string;
  readonly random?: () => number;
  /** Told once when it begins to fail; without content. */
  readonly onError: (detail: string) => void;
}

export const createSpanExporter = ({ config, resource, version, random = Math.random, onError }: SpanExporterOptions): SpanExporter => {
  let queue: Span[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let sending: Promise<void> | undefined;
  let failures = 0;
  let closed = false;
  const counts = { dropped: 0, sent: 0 };

  /** Why not, and whether it may be tried again. */
  const send = async (spans: readonly Span[]): Promise<{ readonly fault: string; readonly again: boolean } | undefined> => {
    try {
      const token = config.bearerToken === undefined ? undefined : readBounded(config.bearerToken.file, SECRET_BYTES_MAX);
      const ca = config.ca === undefined ? undefined : readBounded(config.ca, CA_BYTES_MAX);
      for (const read of [token, ca]) if (read !== undefined && 'fault' in read) return { fault: `a file of traces ${read.fault}`, again: true };
      const posted = await post({
        url: new URL(config.url), timeoutMs: config.timeoutMs, body: await zip(JSON.stringify(otlpRequest(spans, { ...resource, ...config.labels }, version))),
        ca: ca !== undefined && 'text' in ca ? ca.text : undefined,
        headers: { 'content-type': 'application/json', 'content-encoding': 'gzip', 'user-agent': `curfew/${version}`, ...(token !== undefined && 'text' in token ? { authorization: `Bearer ${token.text.trim()}` } : {}) },
      });
      if ('fault' in posted) return { fault: `the receiver of traces ${posted.fault}`, again: true };
      return posted.status >= 200 && posted.status < 300 ? undefined : { fault: `the receiver of traces answered ${posted.status}`, again: AGAIN.has(posted.status) };
    } catch {
      return { fault: 'spans can not be put together', again: false };
    }
  };

  const pauseMs = (): number => (failures === 0 ? config.everyMs : Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(failures, 10)) * (0.5 + random() / 2));
  const sendNext = async (): Promise<void> => {
    const batch = queue.slice(0, config.batchSpansMax);
    if (batch.length === 0) return;
    const failed = await send(batch);
    if (failed === undefined) counts.sent += batch.length;
    else if (failures === 0) onError(failed.fault);
    failures = failed === undefined ? 0 : failures + 1;
    if (failed?.again === true) return;
    queue = queue.slice(batch.length);
    if (failed !== undefined) counts.dropped += batch.length;
  };
  const schedule = (): void => {
    if (closed || timer !== undefined || queue.length === 0) return;
    timer = setTimeout(() => {
      timer = undefined;
      sending = sendNext().finally(() => {
        sending = undefined;
        schedule();
      });
    }, queue.length >= config.batchSpansMax && failures === 0 ? 0 : pauseMs());
    timer.unref();
  };

  return {
    take: (spans) => {
      if (closed || queue.length + spans.length > config.queueSpansMax) {
        counts.dropped += spans.length;
        return;
      }
      queue.push(...spans);
      if (sending === undefined) schedule();
    },
    stats: () => counts,
    close: async () => {
      closed = true;
      clearTimeout(timer);
      await sending;
      while (queue.length > 0 && failures === 0) await sendNext();
    },
  };
};
