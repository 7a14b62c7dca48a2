/**
 * Alerts by webhook, signed as Standard Webhooks has it: `webhook-id` (the alert's, the same at every try), `webhook-timestamp` and
 * `webhook-signature: v1,<base64 HMAC-SHA256 of "id.timestamp.body">`. A receiver that keeps ids sees every alert once.
 */
import { createHmac } from 'node:crypto';
import { post } from '../bounded/post.ts';
import { readBounded } from '../bounded/file.ts';
import type { Clock } from '../decision/ports.ts';
import { alertMessage, passes, type Channel, type Sent } from './channel.ts';
import type { WebhookConfig } from './config.ts';
import { readSecret, type SecretSources } from './secret.ts';

const PREFIX = 'whsec_';
const KEY_BYTES_MIN = 24;
const CA_BYTES_MAX = 1_000_000;

/** `undefined` when it is too short to be a key. */
export const webhookKey = (secret: string): Buffer | undefined => {
  const key = secret.startsWith(PREFIX) ? Buffer.from(secret.slice(PREFIX.length), 'base64') : Buffer.from(secret, 'utf8');
  return key.length >= KEY_BYTES_MIN ? key : undefined;
};

export const signWebhook = (key: Buffer, id: string, timestamp: number, body: string): string =>
  `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;

/** About this message; every other failure is about the receiver as such, and passes when it is set right there or here. */
const REFUSALS: ReadonlySet<number> = new Set([400, 409, 413, 415, 422]);

const sentOf = (status: number): Sent => {
  if (status >= 200 && status < 300) return { outcome: 'delivered' };
  return { outcome: REFUSALS.has(status) ? 'refused' : 'failed', detail: `the receiver answered ${status}` };
};

export interface WebhookDeps {
  readonly clock: Pick<Clock, 'now'>;
  readonly secrets: SecretSources;
  readonly timeoutMs: number;
}

export const createWebhook = (config: WebhookConfig, { clock, secrets, timeoutMs }: WebhookDeps): Channel => ({
  id: config.id,
  takes: passes(config),
  send: async (realm, alert) => {
    const secret = readSecret(config.secret, secrets);
    const key = secret === undefined ? undefined : webhookKey(secret);
    if (key === undefined) return { outcome: 'failed', detail: `the secret can not be read, or is shorter than ${KEY_BYTES_MIN} bytes` };
    const ca = config.ca === undefined ? undefined : readBounded(config.ca, CA_BYTES_MAX);
    if (ca !== undefined && 'fault' in ca) return { outcome: 'failed', detail: `the file of authorities ${ca.fault}` };
    const body = JSON.stringify(alertMessage(realm, alert));
    const timestamp = Math.floor(clock.now().latest / 1_000);
    const id = `${realm}/${alert.id}`;
    const posted = await post({
      url: new URL(config.url), body, timeoutMs, ca: ca?.text,
      headers: {
        'content-type': 'application/json',
        'user-agent': 'curfew',
        'webhook-id': id,
        'webhook-timestamp': String(timestamp),
        'webhook-signature': signWebhook(key, id, timestamp, body),
      },
    });
    return 'fault' in posted ? { outcome: 'failed', detail: `the receiver ${posted.fault}` } : sentOf(posted.status);
  },
});
