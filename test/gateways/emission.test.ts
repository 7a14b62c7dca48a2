/** I11: a decision whose answer could not be sent is said to be one. */
import { createServer, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createEmission } from '../../src/gateways/http/emission.ts';
import { rawGet, rawRequest } from '../support/raw-http.ts';
import { until } from '../support/until.ts';

let close: (() => void) | undefined;
afterEach(() => close?.());

const serve = async (answer: (response: ServerResponse) => void): Promise<number> => {
  const server = createServer((_incoming, response) => answer(response));
  close = () => { server.close(); server.closeAllConnections(); };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
};

test('an answer that left is not told of', async () => {
  const told: string[] = [];
  let closed = 0;
  const port = await serve((response) => {
    response.end('yes');
    createEmission((id) => told.push(id))(response, 'd1');
    response.once('close', () => { closed += 1; });
  });
  await rawRequest(port, rawGet('/x', ['connection: close']));
  await until('the end', () => closed === 1);
  expect(told).toEqual([]);
});
test('a caller who is gone before the answer', async () => {
  const told: string[] = [];
  const waiting: ServerResponse[] = [];
  const port = await serve((response) => { waiting.push(response); });
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(rawGet('/x'));
  const [first] = await until('the question', () => waiting.length === 1 && waiting);
  socket.resetAndDestroy();
  await until('the end', () => first?.destroyed === true);
  first?.end('too late');
  createEmission((id) => told.push(id))(first as ServerResponse, 'gone');
  expect(told).toEqual(['gone']);
});
