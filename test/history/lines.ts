/**
 * Asks many questions in one line: HTTP/1.1 lets a client send them one behind the other on one connection, before any is answered. Some go at once, the
 * others while nothing is waited for, so whoever is held up in the middle of a turn of its loop finds questions in that turn that are much younger than the turn.
 */
import { connect } from 'node:net';
import type { Curfew } from '../runtime/curfew.ts';
import { pause } from './fault.ts';
import { instant } from './history.ts';

const ANSWER = /HTTP\/1\.1 (\d{3}) [\s\S]*?x-curfew-decision-id: ([\w-]+)/gi;
const WITHIN_MS = 8_000;
const AT_ONCE = 15;
const THEN_EACH_MS = 15;

export interface LineAnswer {
  readonly started: number;
  readonly status: number;
  readonly decision: string;
}

/** One answer for each question that was answered before the connection ended. */
export const askInLine = async (node: Curfew, token: string, path: string, count: number): Promise<readonly LineAnswer[]> => {
  const question = (last: boolean): string =>
    ['GET /forward-auth HTTP/1.1', 'host: pdp', `authorization: Bearer ${token}`, 'x-forwarded-method: POST', 'x-forwarded-proto: http', 'x-forwarded-host: shop.local', `x-forwarded-uri: ${path}`, ...(last ? ['connection: close'] : []), '', ''].join('\r\n');
  let text = '';
  const started: number[] = [];
  const socket = connect(node.ports.http, '127.0.0.1');
  socket.setEncoding('utf8').setTimeout(WITHIN_MS, () => socket.destroy());
  socket.on('error', () => undefined);
  socket.on('data', (chunk: string) => { text += chunk; });
  const closed = new Promise((resolve) => { socket.once('close', resolve); });
  for (let index = 0; index < count && !socket.destroyed; index += 1) {
    if (index >= AT_ONCE) await pause(THEN_EACH_MS);
    started.push(instant());
    socket.write(question(index === count - 1));
  }
  await closed;
  // Answers come in the order of their questions.
  return [...text.matchAll(ANSWER)].map(([, status, decision], index) => ({ started: started[index] as number, status: Number(status), decision: String(decision) }));
};
