/** Configuration of alerts: where they go, and how long is tried. */
import { z } from 'zod';
import { urlFault } from '../bounded/url.ts';
import { ALERT_TYPES, SEVERITIES, type Severity } from '../domain/alert.ts';
import { isPerson } from '../domain/lifecycle/fields.ts';

const DAY = 24 * 3_600_000;

export const secretConfig = z.union([
  z.strictObject({ file: z.string().min(1).describe('file that holds it; read at each use') }),
  z.strictObject({ env: z.string().min(1).describe('environment variable that holds it') }),
]);

const address = z.string().regex(/^[^\s@<>"(),:;\\[\]]{1,64}@[A-Za-z0-9.-]{1,253}$/, 'must be a plain address such as oncall@example.org');

const base = (atLeast: Severity) => ({
  id: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be letters, digits, dots, dashes and underscores').describe('name of the channel'),
  atLeast: z.enum(SEVERITIES).default(atLeast).describe('alerts below this are not for it'),
  only: z.array(z.enum(ALERT_TYPES)).min(1).optional().describe('only these; absent: all'),
});

const logChannel = z.strictObject({ kind: z.literal('log'), ...base('info') });

const webhookChannel = z
  .strictObject({
    kind: z.literal('webhook'),
    ...base('warning'),
    url: z.string().max(2_000).describe('where each alert is posted as JSON'),
    secret: secretConfig.describe('signs each message, as Standard Webhooks has it: `whsec_` and base64 of 24 to 64 bytes, or at least 24 characters of any text'),
    ca: z.string().min(1).optional().describe('file with the authorities to trust instead of the well-known ones, PEM'),
    insecureLoopback: z.boolean().default(false).describe('allow http to this machine'),
  })
  .superRefine(({ url, insecureLoopback }, context) => {
    const fault = urlFault(url, insecureLoopback);
    if (fault !== undefined) context.addIssue({ code: 'custom', path: ['url'], message: fault });
  });

const smtpChannel = z
  .strictObject({
    kind: z.literal('smtp'),
    ...base('warning'),
    host: z.string().min(1).max(253),
    port: z.int().min(1).max(65_535).default(587),
    tls: z.enum(['starttls', 'implicit', 'none']).default('starttls').describe('`starttls` is demanded, not only tried; `none` only to this machine'),
    ca: z.string().min(1).optional().describe('file with the authorities to trust instead of the well-known ones, PEM'),
    user: z.string().min(1).max(256).optional(),
    password: secretConfig.optional(),
    sender: address.describe('the address alerts come from'),
    to: z.array(address).min(1).max(100).describe('who gets every alert of this channel'),
    addresses: z.record(z.string().refine(isPerson, 'must be a person or team such as team:shop'), address).default({}).describe('addresses of persons and teams that alerts are for'),
  })
  .superRefine(({ tls, host, user, password }, context) => {
    if (tls === 'none' && !['localhost', '127.0.0.1', '::1'].includes(host)) context.addIssue({ code: 'custom', path: ['tls'], message: 'may be none only to this machine' });
    if ((user === undefined) !== (password === undefined)) context.addIssue({ code: 'custom', path: ['user'], message: 'and password belong together' });
  });

export const alertsConfig = z
  .strictObject({
    channels: z.array(z.discriminatedUnion('kind', [logChannel, webhookChannel, smtpChannel])).max(16).default([{ kind: 'log', id: 'log', atLeast: 'info' }]).describe('where alerts go; each gets every alert it takes'),
    pollMs: z.int().min(20).max(60_000).default(250).describe('pause between two looks for new alerts'),
    timeoutMs: z.int().min(100).max(20_000).default(5_000).describe('longest wait for one delivery'),
    retryMaxMs: z.int().min(1_000).max(3_600_000).default(60_000).describe('longest pause between two tries of a channel that fails'),
    giveUpAfterMs: z.int().min(60_000).max(90 * DAY).default(7 * DAY).describe('an alert that a channel could not have for so long is given up there, and listed as such'),
  })
  .superRefine(({ channels }, context) => {
    channels.forEach(({ id }, index) => {
      if (channels.findIndex((other) => other.id === id) !== index) context.addIssue({ code: 'custom', path: ['channels', index, 'id'], message: `\`${id}\` is there twice` });
    });
  })
  .describe('alerts: what somebody should hear of, and where it goes');
export type AlertsConfig = z.output<typeof alertsConfig>;
export type ChannelConfig = AlertsConfig['channels'][number];
export type WebhookConfig = Extract<ChannelConfig, { kind: 'webhook' }>;
export type SmtpConfig = Extract<ChannelConfig, { kind: 'smtp' }>;
