/** A webhook's signature by a secret that could be guessed is none, however its text is padded. */
import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { standardSigned } from '../../src/signals/verify.ts';

test.each([['of 15 bytes', 15, false], ['of 16 bytes', 16, true]] as const)('E12: a Standard Webhooks secret %s', (_name, bytes, good) => {
  const [key, body, now] = [Buffer.alloc(bytes, 7), Buffer.from('{}'), 1_800_000_000];
  const signature = `v1,${createHmac('sha256', key).update(`m1.${now}.`).update(body).digest('base64')}`;
  const headers = new Headers({ 'webhook-id': 'm1', 'webhook-timestamp': String(now), 'webhook-signature': signature });
  expect(standardSigned(headers, body, `whsec_${key.toString('base64')}`, now * 1_000)).toBe(good);
});
