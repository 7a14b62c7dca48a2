/** C4, I1, I2: a request behind another on its connection is decided when its answer can leave, not before. */
import { afterEach, expect, test } from 'vitest';
import { startGateway, allowing, forwarded, type TestGateway } from '../support/http-gateway.ts';
import { openConnection, rawGet } from '../support/raw-http.ts';
import { until } from '../support/until.ts';

let gateway: TestGateway | undefined;
afterEach(() => gateway?.close());

const ask = (uri: string): string => rawGet('/forward-auth', forwarded(uri));
const allows = (text: string): number => text.match(/HTTP\/1\.1 200/g)?.length ?? 0;

test('I2: it is not decided while the answer before it is still to come', async () => {
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => { release = resolve; });
  gateway = await startGateway({
    decide: async (evaluation) => {
      if (evaluation.question?.resource.id === 'shop.local/slow') await held;
      return allowing(evaluation);
    },
  });
  const connection = await openConnection(gateway.port);
  connection.socket.write(ask('/slow') + ask('/orders/1') + ask('/orders/2'));
  // Once a request on another connection was answered, those on the first had their chance.
  const other = await openConnection(gateway.port);
  expect((await other.send(ask('/orders/3'))).status).toBe(200);
  const judged = () => gateway?.evaluations.map(({ question }) => question?.resource.id);
  expect(judged()).toEqual(['shop.local/slow', 'shop.local/orders/3']);
  release();
  await until('all answers', () => allows(connection.pending()) === 3);
  expect(judged()).toEqual(['shop.local/slow', 'shop.local/orders/3', 'shop.local/orders/1', 'shop.local/orders/2']);
  connection.close();
  other.close();
});

test('B8: whoever sends more and more behind one slow request is cut off; a few dozen are served in order', async () => {
  gateway = await startGateway({ decide: (evaluation) => new Promise((resolve) => setTimeout(() => resolve(allowing(evaluation)), evaluation.question?.resource.id === 'shop.local/slow' ? 50 : 0)) });
  const few = await openConnection(gateway.port);
  few.socket.write(ask('/slow') + ask('/orders/1').repeat(20));
  await until('all answers', () => allows(few.pending()) === 21);
  few.close();
  const many = await openConnection(gateway.port);
  const closed = new Promise((resolve) => many.socket.once('close', resolve));
  many.socket.write(ask('/slow') + ask('/orders/1').repeat(1_000));
  await closed;
  expect(allows(many.pending())).toBeLessThan(40);
  expect(gateway.evaluations.length).toBeLessThan(80);
});
