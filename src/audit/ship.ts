/**
 * Sends what is in the file of the decision log to a server, in OPA's format, in batches. The file is the buffer: how far it was sent is kept
 * beside it and moves when a batch was accepted, so that nothing is left out, and a batch may come twice after a crash (same `decision_id`s).
 * A file that was renamed is sent to its end before the new one. Memory is bounded by one batch.
 */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { readBounded } from '../bounded/file.ts';
import { post } from '../bounded/post.ts';
import type { JsonObject } from '../domain/json.ts';
import { createRounds, type Rounds } from '../lifecycle/rounds.ts';
import type { ShipConfig } from './config.ts';
import { followFile } from './follow-file.ts';
import { lineObject } from './line-object.ts';
import { opaEvent, shortened } from './opa-event.ts';

const zip = promisify(gzip);
const RETRY_MS_MIN = 100;
const SECRET_BYTES_MAX = 8_192;
const CA_BYTES_MAX = 1_000_000;

export interface ShipperDeps {
  readonly path: string;
  readonly config: ShipConfig;
  readonly monotonicMs: () => number;
  readonly random?: () => number;
  /** For tests. */
  readonly rotatedMs?: number;
  /** Told why a batch was not taken, or had to be cut; without content. */
  readonly onError: (error: unknown) => void;
}

export interface Shipper extends Rounds {
  /** Sends what is there; resolves to how many events were accepted. Rejects when the server does not take one. */
  ship(): Promise<number>;
}

export const createShipper = (deps: ShipperDeps): Shipper => {
  const { path, config, monotonicMs, random = Math.random, onError } = deps;
  let failures = 0;
  const follower = followFile({
    path, markPath: `${path}.sent`, readBytesMax: config.batchBytesMax, linesMax: config.batchEventsMax, monotonicMs, rotatedMs: deps.rotatedMs,
    onTooLong: () => onError(new Error('a line of the decision log is longer than decisionLog.http.batchBytesMax and is sent to nobody')),
  });
  const eventOf = (bytes: Buffer): readonly JsonObject[] => {
    const line = lineObject(bytes);
    const event = line === undefined ? undefined : opaEvent(line, config.labels);
    return event === undefined ? [] : [event];
  };

  const headers = (): Record<string, string> => {
    const common = { 'content-type': 'application/json', 'user-agent': 'curfew', ...(config.gzip ? { 'content-encoding': 'gzip' } : {}) };
    if (config.bearerToken === undefined) return common;
    const token = readBounded(config.bearerToken.file, SECRET_BYTES_MAX);
    if ('fault' in token) throw new Error(`the token of decisionLog.http ${token.fault}`);
    return { ...common, authorization: `Bearer ${token.text.trim()}` };
  };
  const send = async (events: readonly JsonObject[]): Promise<void> => {
    const ca = config.ca === undefined ? undefined : readBounded(config.ca, CA_BYTES_MAX);
    if (ca !== undefined && 'fault' in ca) throw new Error(`the authorities of decisionLog.http ${ca.fault}`);
    const text = Buffer.from(JSON.stringify(events));
    const posted = await post({ url: new URL(config.url), body: config.gzip ? await zip(text) : text, headers: headers(), ca: ca?.text, timeoutMs: config.timeoutMs });
    if ('fault' in posted) throw new Error(`the server of the decision log ${posted.fault}`);
    if (posted.status >= 200 && posted.status < 300) return;
    if (posted.status !== 413) throw new Error(`the server of the decision log answered ${posted.status}`);
    const [only, ...others] = events;
    if (only === undefined) return;
    if (others.length === 0) {
      if (Array.isArray(only['erased']) && only['input'] === undefined && only['result'] === undefined) return onError(new Error('the server of the decision log finds the smallest form of a decision too large; it stays in the file'));
      return send([shortened(only)]);
    }
    const middle = Math.ceil(events.length / 2);
    await send(events.slice(0, middle));
    await send(events.slice(middle));
  };

  const ship = async (): Promise<number> => {
    let sent = 0;
    for (let lines = await follower.next(); lines !== undefined; lines = await follower.next()) {
      const events = lines.flatMap(eventOf);
      if (events.length > 0) await send(events);
      failures = 0;
      sent += events.length;
      await follower.done();
    }
    return sent;
  };

  const rounds = createRounds({
    round: async () => {
      try {
        await ship();
      } catch (error) {
        failures += 1;
        throw error;
      }
    },
    pauseMs: () => (failures === 0 ? config.everyMs : Math.min(config.retryMsMax, RETRY_MS_MIN * 2 ** Math.min(failures, 20)) * (0.5 + random() / 2)),
    monotonicMs, onError,
  });
  return {
    ship,
    start: rounds.start,
    stop: async () => {
      await rounds.stop();
      await follower.close();
    },
  };
};
