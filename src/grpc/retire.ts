/**
 * Ends an HTTP/2 connection without losing a call. Node's `close` names the last call that it has seen (GOAWAY), and whatever is on its way then is
 * refused; Envoy denies such a request. So the peer is told first to open another connection (RFC 9113, 6.8: GOAWAY with the highest stream id), and
 * asked for an answer (PING), which one that stands still gives late. Its HTTP/2 may answer before its program knows, so it is served as before for
 * a while more, and only then is the connection closed, which lets open calls end.
 *
 * Node has no call for this frame, and tells its HTTP/2 of every write to the socket; so it is written past node, once node has nothing half
 * written. Over TLS that can't be: there the connection is closed in a moment without calls. Without an answer it is closed at the end of `noticeMs`.
 */
import { writeSync } from 'node:fs';
import type { ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';

/** For a peer that stands still and does not answer. */
export const NOTICE_MS = 5_000;
/** From a peer's answer until what it does next goes elsewhere. */
const GRACE_MS = 500;
/** How often it is looked whether it can be told, or over TLS closed. */
const LOOK_MS = 5;

const GOAWAY = 0x7;
const ID_MAX = 0x7fff_ffff;

/** GOAWAY, stream id 2^31-1, NO_ERROR: "open another connection; what you have asked will be answered". */
const notice = Buffer.alloc(17);
notice.writeUIntBE(8, 0, 3);
notice[3] = GOAWAY;
notice.writeUInt32BE(ID_MAX, 9);

/** Present on sockets of the system, not on TLS. */
interface SystemHandle {
  readonly fd?: number;
  readonly writeQueueSize?: number;
}

type Told = 'told' | 'not now' | 'broken';

const tell = (socket: Socket): Told => {
  const { fd = -1, writeQueueSize } = (socket as unknown as { readonly _handle?: SystemHandle | null })._handle ?? {};
  if (!(fd >= 0) || writeQueueSize !== 0) return 'not now';
  try {
    return writeSync(fd, notice) === notice.length ? 'told' : 'broken';
  } catch {
    return 'not now';
  }
};

/** `socket`: what the session runs over; TLS is never written to. `underWay`: how many calls are. Nothing where the connection is gone already. */
export const retire = (session: ServerHttp2Session, socket: Socket | undefined, noticeMs: number, underWay: () => number): void => {
  if (session.destroyed || session.closed) return;
  const plain = session.encrypted === true ? undefined : socket;
  const close = (): void => {
    clearTimeout(timer);
    clearInterval(look);
    if (!session.destroyed && !session.closed) session.close();
  };
  let timer = setTimeout(close, noticeMs);
  const tryIt = (): void => {
    if (plain === undefined) {
      if (underWay() === 0) close();
      return;
    }
    const told = tell(plain);
    if (told === 'not now') return;
    clearInterval(look);
    // Half a frame was written: nothing can be said any more.
    if (told === 'broken') session.destroy();
    else session.ping((error) => {
      if (error !== null || session.destroyed) return;
      clearTimeout(timer);
      timer = setTimeout(close, GRACE_MS);
    });
  };
  const look = setInterval(tryIt, LOOK_MS);
  session.once('close', () => {
    clearTimeout(timer);
    clearInterval(look);
  });
  if (plain !== undefined) tryIt();
};
