/** Channels as configured. */
import type { Channel } from './channel.ts';
import type { AlertsConfig } from './config.ts';
import { createLogChannel, type WriteLine } from './log-channel.ts';
import type { SecretSources } from './secret.ts';
import { createSmtp } from './smtp.ts';
import { createWebhook, type WebhookDeps } from './webhook.ts';

export interface ChannelDeps {
  readonly clock: WebhookDeps['clock'];
  readonly secrets: SecretSources;
  readonly writeLine: WriteLine;
}

export const openChannels = ({ channels, timeoutMs }: AlertsConfig, { clock, secrets, writeLine }: ChannelDeps): readonly Channel[] =>
  channels.map((config) => {
    if (config.kind === 'log') return createLogChannel(config, writeLine);
    return config.kind === 'webhook' ? createWebhook(config, { clock, secrets, timeoutMs }) : createSmtp(config, { secrets, timeoutMs });
  });
