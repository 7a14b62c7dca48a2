/**
 * Asks many questions in one line: HTTP/1.1 lets a client send them one behind the other on one connection, before any is answered. The server reads
 * all that came in one turn of its loop, so the last of them are decided long after the first ones without the loop going round in between.
 */
import { connect } from 'node:net';
import type { Curfew } from '../runtime/curfew.ts';

const ANSWER = /HTTP\/1\.1 (\d{3}) [\s\S]*?x-curfew-decision-id: ([\w-]+)/gi;
const WITHIN_MS = 8_000;

/** One answer for each question that was answered before the connection ended. */
export const askInLine = (node: Curfew, token: string, path: string, count: number): Promise<readonly { readonly status: number; readonly decision: string }[]> =>
  new Promise((resolve) => {
    const question = (last: boolean): string =>
      ['GET /forward-auth HTTP/1.1', 'host: pdp', `authorization: Bearer ${token}`, 'x-forwarded-method: POST', 'x-forwarded-proto: http', 'x-forwarded-host: shop.local', `x-forwarded-uri: ${path}`, ...(last ? ['connection: close'] : []), '', ''].join('\r\n');
    let text = '';
    const socket = connect(node.ports.http, '127.0.0.1');
    socket.setEncoding('utf8').setTimeout(WITHIN_MS, () => socket.destroy());
    socket.on('error', () => undefined);
    socket.on('data', (chunk: string) => { text += chunk; });
    socket.once('close', () => resolve([...text.matchAll(ANSWER)].map(([, status, decision]) => ({ status: Number(status), decision: String(decision) }))));
    socket.write(Array.from({ length: count }, (_, index) => question(index === count - 1)).join(''));
  });
