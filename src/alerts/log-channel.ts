/** Alerts in the process's own log: one line each, for whoever collects it. */
import type { Severity } from '../domain/alert.ts';
import { alertText } from '../domain/alert.ts';
import { canonicalJson } from '../domain/json.ts';
import { passes, type Channel, type Filter } from './channel.ts';

export type WriteLine = (severity: Severity, fields: Readonly<Record<string, string>>) => void;

export const createLogChannel = (config: Filter & { readonly id: string }, write: WriteLine): Channel => ({
  id: config.id,
  takes: passes(config),
  send: async (realm, { id, type, severity, recipients, data }) => {
    write(severity, { alert: id, type, realm, text: alertText(type), recipients: recipients.join(' '), data: canonicalJson(data) });
    return { outcome: 'delivered' };
  },
});
