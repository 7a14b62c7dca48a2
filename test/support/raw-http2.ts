/** HTTP/2 in the clear, with pseudo-headers sent as they are. */
import { connect, type ClientHttp2Session } from 'node:http2';

export interface Http2Client {
  /** Status of the answer, 0 when there was none. A connection that the server ended is replaced. */
  send(headers: Record<string, string | string[]>, body?: string): Promise<number>;
  close(): void;
}

export const openHttp2 = (port: number): Http2Client => {
  let session: ClientHttp2Session | undefined;
  const current = (): ClientHttp2Session => {
    if (session === undefined || session.destroyed || session.closed) {
      session = connect(`http://127.0.0.1:${port}`);
      session.on('error', () => undefined);
    }
    return session;
  };
  return {
    send: (headers, body) =>
      new Promise((resolve) => {
        try {
          const stream = current().request({ ':method': 'GET', ':scheme': 'http', ':authority': 'shop.local', ':path': '/', ...headers }, { endStream: body === undefined });
          stream.once('response', (answer) => {
            resolve(answer[':status'] ?? 0);
            stream.resume();
          });
          stream.once('error', () => resolve(0));
          stream.once('close', () => resolve(0));
          if (body !== undefined) stream.end(body);
        } catch {
          // node refuses to send some of what the tests ask for.
          resolve(0);
        }
      }),
    close: () => session?.destroy(),
  };
};
