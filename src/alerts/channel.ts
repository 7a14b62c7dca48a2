/** What a channel is: somewhere alerts go. A channel never throws; it says what became of one message. */
import type { Alert, AlertType, Severity } from '../domain/alert.ts';
import { alertText, SEVERITIES } from '../domain/alert.ts';
import { toRfc3339 } from '../domain/instant.ts';
import type { JsonObject } from '../domain/json.ts';

export type Sent =
  | { readonly outcome: 'delivered' }
  /** The receiver will not have this message; others may pass. */
  | { readonly outcome: 'refused'; readonly detail: string }
  /** The receiver is not there, or has no time now. */
  | { readonly outcome: 'failed'; readonly detail: string };

export interface Channel {
  readonly id: string;
  takes(alert: Pick<Alert, 'type' | 'severity'>): boolean;
  send(realm: string, alert: Alert): Promise<Sent>;
}

export interface Filter {
  readonly atLeast: Severity;
  readonly only?: readonly AlertType[] | undefined;
}

export const passes = ({ atLeast, only }: Filter) => ({ type, severity }: Pick<Alert, 'type' | 'severity'>): boolean =>
  SEVERITIES.indexOf(severity) >= SEVERITIES.indexOf(atLeast) && (only === undefined || only.includes(type));

/** An alert as receivers see it. */
export const alertMessage = (realm: string, { id, type, severity, at, recipients, data }: Alert): JsonObject => ({
  type, timestamp: toRfc3339(at), id, realm, severity, text: alertText(type), recipients, data,
});
