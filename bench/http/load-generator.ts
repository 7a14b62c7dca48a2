/**
 * A process of its own that asks one server over keep-alive connections, one request at a time on each, and checks every answer.
 *
 * Closed loop: every connection asks again as soon as it has its answer; gives throughput. Open loop: requests are due at a fixed
 * rate, whatever the server does, and wait for a connection when all are busy; latency counts from when a request was due, so that
 * a slow server can't hide behind the requests that it kept from being sent.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { addressed, checkAllows, createReader, GREETING, questionOf } from './http2-client.ts';
import type { Kind } from './requests.ts';

export interface Job {
  readonly kind: Kind;
  readonly port: number;
  readonly requests: readonly string[];
  readonly allow: readonly boolean[];
}

export interface Run {
  readonly job: number;
  readonly connections: number;
  readonly durationMs: number;
  /** Goes on beyond its time until so many were answered; for warming up. */
  readonly atLeast?: number;
  /** Requests a second; absent: closed loop. */
  readonly rate?: number;
  /** Index of the first request. */
  readonly from: number;
  /** However many answers come too late, the run counts: something else is measured meanwhile. */
  readonly anyLate?: boolean;
}

export type ToGenerator = { readonly type: 'job'; readonly job: Job } | { readonly type: 'run'; readonly run: Run };

export interface Ran {
  readonly answered: number;
  readonly durationMs: number;
  /** Microseconds each. */
  readonly latencies: Float64Array;
  /** Denials because the server could not decide in time; not wrong, and not an answer to the question. */
  readonly unavailable: number;
  readonly wrong: readonly string[];
}

/** How a yes and a no are written in bodies. */
const WORDS: Readonly<Record<Exclude<Kind, 'curfew' | 'grpc'>, readonly [yes: string, no: string]>> = {
  opa: ['"allow":true', '"allow":false'], authzen: ['"decision":true', '"decision":false'], kubernetes: ['"allowed":true', '"denied":true'],
  bare: ['"result":true', '"result":false'], cerbos: ['EFFECT_ALLOW', 'EFFECT_DENY'],
};

const jobs: Job[] = [];
const WRONG_MAX = 5;
const CHECK = '/envoy.service.auth.v3.Authorization/Check';
/** Requests that found no connection; beyond this the server can't keep up with the rate. */
const WAITING_MAX = 200_000;

type Verdict = 'allow' | 'deny' | 'unavailable' | 'neither';

/** Length of the first whole answer in `text` and what it says; `undefined` while it is not whole. */
const readAnswer = (kind: Exclude<Kind, 'grpc'>, text: string): { readonly length: number; readonly verdict: Verdict } | undefined => {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) return undefined;
  const head = text.slice(0, headEnd);
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? Number.NaN);
  if (!Number.isSafeInteger(length)) throw new Error(`an answer without its length: ${head.slice(0, 200)}`);
  const end = headEnd + 4 + length;
  if (text.length < end) return undefined;
  const status = Number(head.slice(9, 12));
  const late = status === 429 || head.includes('x-curfew-reason: unavailable');
  if (kind === 'curfew') {
    const verdict = status === 200 ? 'allow' : late ? 'unavailable' : status === 403 ? 'deny' : 'neither';
    return { length: end, verdict };
  }
  const body = text.slice(headEnd + 4, end);
  const [yes, no] = WORDS[kind];
  // `evaluationError`: a Kubernetes review has no other way to say that nothing was decided.
  const verdict = status === 503 || late || (kind === 'kubernetes' && body.includes('"evaluationError"')) ? 'unavailable' : status !== 200 ? 'neither' : body.includes(yes) ? 'allow' : body.includes(no) ? 'deny' : 'neither';
  return { length: end, verdict };
};

const runLoad = async ({ kind, port, requests, allow }: Job, run: Run): Promise<Ran> => {
  const wires = requests.map((text) => (kind === 'grpc' ? questionOf(CHECK, Buffer.from(text, 'latin1')) : Buffer.from(text, 'latin1')));
  const latencies: number[] = [];
  const wrong: string[] = [];
  let unavailable = 0;
  let next = run.from % wires.length;
  let ended = false;
  let failed: Error | undefined;
  const due: number[] = [];
  let dueHead = 0;
  const idle: Asking[] = [];
  let outstanding = 0;

  interface Asking {
    socket: Socket;
    /** Of HTTP/2: the last stream, what reads the connection, and whether its server wants another. */
    stream: number;
    hear: ReturnType<typeof createReader>;
    leave: boolean;
    text: string;
    sentFor: number;
    index: number;
  }

  const send = (asking: Asking, sentFor: number): void => {
    asking.index = next;
    next = next + 1 === wires.length ? 0 : next + 1;
    asking.sentFor = sentFor;
    outstanding += 1;
    const wire = wires[asking.index] as Buffer;
    if (kind === 'grpc') asking.stream += 2;
    asking.socket.write(kind === 'grpc' ? addressed(wire, asking.stream) : wire);
  };
  const proceed = (asking: Asking): void => {
    if (asking.leave) {
      // As a gateway does: what comes next goes over another connection.
      asking.socket.removeAllListeners('close').end();
      open(asking);
    }
    if (run.rate === undefined) {
      if (!ended) send(asking, performance.now());
      return;
    }
    if (dueHead < due.length) {
      send(asking, due[dueHead] as number);
      dueHead += 1;
    } else idle.push(asking);
  };
  const answerIn = (asking: Asking, chunk: string): { readonly length: number; readonly verdict: Verdict } | undefined => {
    if (kind !== 'grpc') {
      asking.text = asking.text === '' ? chunk : asking.text + chunk;
      return readAnswer(kind, asking.text);
    }
    const { reply, message, leave } = asking.hear(Buffer.from(chunk, 'latin1'));
    for (const bytes of reply) asking.socket.write(bytes);
    asking.leave ||= leave;
    if (message === undefined) return undefined;
    const allows = checkAllows(message);
    asking.text = message.toString('latin1');
    return { length: message.length, verdict: allows === undefined ? 'neither' : allows ? 'allow' : message.includes('unavailable') ? 'unavailable' : 'deny' };
  };
  const receive = (asking: Asking, chunk: string): void => {
    const answer = answerIn(asking, chunk);
    if (answer === undefined) return;
    const now = performance.now();
    latencies.push((now - asking.sentFor) * 1_000);
    outstanding -= 1;
    if (answer.verdict === 'unavailable') unavailable += 1;
    else if (answer.verdict !== (allow[asking.index] === true ? 'allow' : 'deny') && wrong.length < WRONG_MAX) wrong.push(`${asking.text.slice(0, 300)} to ${requests[asking.index]?.slice(-120)}`);
    if (answer.length !== asking.text.length) failed = new Error('more than one answer to one request');
    asking.text = '';
    proceed(asking);
  };

  /** Over a new connection, at once: what is written before it is there waits in the socket. */
  const open = (asking: Asking): void => {
    const socket = (asking.socket = connect({ port, host: '127.0.0.1', noDelay: true }));
    Object.assign(asking, { stream: -1, hear: createReader(), leave: false });
    socket.setEncoding('latin1');
    if (kind === 'grpc') socket.write(GREETING);
    socket.on('data', (chunk: string) => {
      if (asking.socket !== socket) return;
      try {
        receive(asking, chunk);
      } catch (error) {
        failed = error as Error;
      }
    });
    socket.on('error', (error) => { failed ??= error; });
    socket.on('close', () => {
      if (ended || asking.socket !== socket) return;
      // Told to leave while it had nothing to ask.
      if (asking.leave && idle.includes(asking)) open(asking);
      else failed ??= new Error('the server closed a connection');
    });
  };
  const all: Asking[] = await Promise.all(
    Array.from({ length: run.connections }, async () => {
      const asking = { text: '', sentFor: 0, index: 0 } as Asking;
      open(asking);
      await once(asking.socket, 'connect');
      return asking;
    }),
  );

  const startedMs = performance.now();
  const untilMs = startedMs + run.durationMs;
  const over = (): boolean => failed !== undefined || (performance.now() >= untilMs && latencies.length >= (run.atLeast ?? 0));
  if (run.rate === undefined) {
    for (const asking of all) proceed(asking);
    while (!over()) await new Promise((resolve) => setTimeout(resolve, 10));
  } else {
    idle.push(...all);
    const perMs = run.rate / 1_000;
    let planned = 0;
    while (!over()) {
      // What is due by now, each at its own time on the millisecond; a late turn of this loop is no excuse.
      const upTo = Math.floor((performance.now() - startedMs) * perMs);
      for (; planned < upTo; planned += 1) {
        const dueMs = startedMs + Math.ceil((planned + 1) / perMs);
        const asking = idle.shift();
        if (asking === undefined) due.push(dueMs);
        else send(asking, Math.min(dueMs, performance.now()));
      }
      if (due.length - dueHead > WAITING_MAX) failed = new Error('the server can not keep up with the rate');
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
  ended = true;
  const answered = latencies.length;
  const durationMs = performance.now() - startedMs;
  const patience = performance.now() + 5_000;
  while (failed === undefined && (outstanding > 0 || dueHead < due.length) && performance.now() < patience) await new Promise((resolve) => setTimeout(resolve, 5));
  for (const { socket } of all) socket.destroy();
  if (failed !== undefined) throw failed;
  if (outstanding > 0) throw new Error(`${outstanding} requests were never answered`);
  return { answered, durationMs, latencies: Float64Array.from(latencies), unavailable, wrong };
};

process.on('message', (message: ToGenerator) => {
  if (message.type === 'job') {
    jobs.push(message.job);
    process.send?.({ type: 'ready' });
    return;
  }
  const job = jobs[message.run.job];
  const ran = job === undefined ? Promise.reject(new Error('no such job')) : runLoad(job, message.run);
  ran.then(
    (result) => process.send?.({ type: 'ran', result }),
    (error: unknown) => process.send?.({ type: 'failed', message: error instanceof Error ? error.message : String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
