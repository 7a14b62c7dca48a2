/**
 * Alerts by mail: one plain-text message an alert, its Message-ID made of the alert's id, so that a repeated one is seen to be the same.
 * Encryption is demanded, not only tried. Nothing that an alert says can become a header or an address.
 */
import { createHash } from 'node:crypto';
import { readBounded } from '../bounded/file.ts';
import { alertText } from '../domain/alert.ts';
import { escapeInvisible } from '../domain/invisible.ts';
import { alertMessage, passes, type Channel, type Sent } from './channel.ts';
import type { SmtpConfig } from './config.ts';
import { readSecret, type SecretSources } from './secret.ts';

const CA_BYTES_MAX = 1_000_000;

export interface SmtpDeps {
  readonly secrets: SecretSources;
  readonly timeoutMs: number;
}

/** 5xx to the message itself; trouble with the connection, encryption or the account is the server's. */
const failureOf = (error: unknown): Sent => {
  const { code, responseCode } = error as { code?: unknown; responseCode?: unknown };
  const detail = `the mail server ${typeof responseCode === 'number' ? `answered ${responseCode}` : `can't be used (${typeof code === 'string' ? code : 'unknown'})`}`;
  const message = (code === 'EMESSAGE' || code === 'EENVELOPE') && typeof responseCode === 'number' && responseCode >= 500;
  return { outcome: message ? 'refused' : 'failed', detail };
};

export const createSmtp = (config: SmtpConfig, { secrets, timeoutMs }: SmtpDeps): Channel => ({
  id: config.id,
  takes: passes(config),
  send: async (realm, alert) => {
    const pass = config.password === undefined ? undefined : readSecret(config.password, secrets);
    if (config.password !== undefined && pass === undefined) return { outcome: 'failed', detail: 'the password can not be read' };
    const ca = config.ca === undefined ? undefined : readBounded(config.ca, CA_BYTES_MAX);
    if (ca !== undefined && 'fault' in ca) return { outcome: 'failed', detail: `the file of authorities ${ca.fault}` };
    // Loaded with the first mail: most nodes send none, and it would be read at every start.
    const { createTransport } = await import('nodemailer');
    const transport = createTransport({
      host: config.host, port: config.port,
      secure: config.tls === 'implicit', requireTLS: config.tls === 'starttls', ignoreTLS: config.tls === 'none',
      connectionTimeout: timeoutMs, greetingTimeout: timeoutMs, socketTimeout: timeoutMs, dnsTimeout: timeoutMs,
      tls: { minVersion: 'TLSv1.2', rejectUnauthorized: true, ...(ca === undefined ? {} : { ca: ca.text }) },
      ...(config.user === undefined || pass === undefined ? {} : { auth: { user: config.user, pass } }),
      disableFileAccess: true, disableUrlAccess: true,
    });
    const own = alert.recipients.flatMap((person) => (Object.hasOwn(config.addresses, person) ? [config.addresses[person] as string] : []));
    const id = createHash('sha256').update(`${realm}/${alert.id}`).digest('hex');
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      const tooLong = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(Object.assign(new Error('too long'), { code: 'ETIMEDOUT' })), timeoutMs);
      });
      await Promise.race([tooLong, transport.sendMail({
        from: config.sender,
        to: [...new Set([...config.to, ...own])],
        subject: `[curfew ${alert.severity}] ${alert.type}: ${alertText(alert.type)}`,
        messageId: `<${id}@curfew.invalid>`,
        headers: { 'auto-submitted': 'auto-generated', 'x-curfew-alert': id },
        text: `${escapeInvisible(JSON.stringify(alertMessage(realm, alert), null, 2))}\n`,
      })]);
      return { outcome: 'delivered' };
    } catch (error) {
      return failureOf(error);
    } finally {
      clearTimeout(timer);
      transport.close();
    }
  },
});
