/**
 * Alerts: what somebody should hear of. The catalogue is closed. An alert is committed with its cause (`withAlerts`), so that the one is
 * never there without the other; its id comes from the cause, so that the same thing is told once. Who delivers it finds it by the
 * `alerts` of the cause's event, or, after a restart, by its `outbox` record, which is there until every channel has had it or given up.
 */
import type { RecordRef } from './grant-refs.ts';
import { INSTANT_MAX, type Instant } from './instant.ts';
import type { JsonObject } from './json.ts';

export const SEVERITIES = ['info', 'warning', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

const catalogue = {
  'access.residual': { severity: 'critical', text: 'access is still there after it ended, by another grant, a standing entry or in a system downstream' },
  'access.revoked': { severity: 'info', text: 'access was ended by a selector, for good' },
  'access.suspended': { severity: 'info', text: 'access was stopped by a selector' },
  'alert.test': { severity: 'info', text: 'an operator tries whether alerts arrive' },
  'break-glass.drill-overdue': { severity: 'warning', text: 'emergency access by this entitlement was not tried for longer than it may be' },
  'break-glass.frequent': { severity: 'critical', text: 'emergency access is used too often to be for emergencies' },
  'break-glass.misused': { severity: 'critical', text: 'a review found that emergency access was misused' },
  'break-glass.review-overdue': { severity: 'critical', text: 'emergency access was used and not reviewed in time; its person and entitlement are stopped' },
  'break-glass.used': { severity: 'critical', text: 'emergency access was used for the first time' },
  'canary.open': { severity: 'critical', text: 'a canary got through a gateway without a grant, or after the end of its grant' },
  'canary.unproven': { severity: 'warning', text: 'a canary could not show that access through a gateway ends: it was not let through under its grant, or got no clear answer' },
  'exception.ended': { severity: 'warning', text: 'an exception is past its end and still configured' },
  'grant.bypassed': { severity: 'critical', text: 'a system was used without an allow' },
  'grant.reused': { severity: 'critical', text: 'access was used, or tried, after its end' },
  'group.re-expands': { severity: 'critical', text: 'a group gives again, by inheritance, what has ended' },
  'loss.accepted': { severity: 'critical', text: 'an operator goes on without knowing what had ended, after a restore or a loss of the server: `by` whom, run as whom and where, and whether earlier grants go on' },
  'orphan.found': { severity: 'warning', text: 'access without an owner, or that nobody uses' },
  'recertification.due': { severity: 'warning', text: 'an owner has to confirm that access is still needed' },
  'recertification.overdue': { severity: 'critical', text: 'nobody confirmed that access is still needed; it denies' },
  'request.pending': { severity: 'info', text: 'access was asked for, and waits for somebody who may approve it' },
  'revocation.manual': { severity: 'warning', text: 'a system must be revoked by hand' },
  'revocation.manual-overdue': { severity: 'critical', text: 'a system that must be revoked by hand was not, in time' },
  'revocation.unconfirmed': { severity: 'critical', text: 'a process did not confirm in time that it knows what ended: `node`, and `since` when. `state` `lapsed`: its lease is over, so it allows nothing by memory; `pending`: it stands still, and may still write an answer from before' },
  'two-person.skipped': { severity: 'critical', text: 'access that takes the approval of two persons or more was issued with fewer' },
  'window.extended': { severity: 'warning', text: 'the end of a grant was moved, by a fresh approval' },
} as const satisfies Record<string, { readonly severity: Severity; readonly text: string }>;

export type AlertType = keyof typeof catalogue;
export const ALERT_TYPES = Object.keys(catalogue) as readonly AlertType[];
export const alertSeverity = (type: AlertType): Severity => catalogue[type].severity;
export const alertText = (type: AlertType): string => catalogue[type].text;

/** Where an alert stands with one channel. `refused`: the receiver will not have it; `given-up`: it was not there for too long. */
export const DELIVERY_STATES = ['delivered', 'refused', 'given-up'] as const;
export interface Delivery {
  readonly state: (typeof DELIVERY_STATES)[number];
  readonly at: number;
  readonly attempts: number;
  /** Why not; nothing secret. */
  readonly detail?: string;
}

/** The value stored under `alert/<id>`. */
export interface Alert {
  readonly version: 1;
  /** `<type>:<what caused it>`: at most one a cause. */
  readonly id: string;
  readonly type: AlertType;
  readonly severity: Severity;
  readonly at: Instant;
  /** Whom the entitlement or the configuration names, beside everybody who listens to the channels. */
  readonly recipients: readonly string[];
  /** What happened, in plain members: ids, names, instants. */
  readonly data: JsonObject;
  /** By channel, once it is over for that channel. */
  readonly deliveries: Readonly<Record<string, Delivery>>;
  /** `done`: over for every channel. */
  readonly state: 'pending' | 'done';
}

export const alertRef = (id: string): RecordRef => ({ kind: 'alert', id });
/** Present while the alert is not over for every channel. */
export const outboxRef = (id: string): RecordRef => ({ kind: 'outbox', id });

/** Lists alerts in the order of time, newest first. */
export const ALERT_LOG = 'alert-log';
const INSTANT_DIGITS = String(INSTANT_MAX).length;
const logRef = ({ at, id }: Pick<Alert, 'at' | 'id'>): RecordRef => ({ kind: ALERT_LOG, id: `${String(INSTANT_MAX - at).padStart(INSTANT_DIGITS, '0')}:${id}` });

/** Ids travel in headers: what is not plain is percent-encoded. */
export const alertId = (type: AlertType, cause: string): string => `${type}:${encodeURIComponent(cause)}`;

export const raise = (type: AlertType, cause: string, at: Instant, data: JsonObject, recipients: readonly string[] = []): Alert => ({
  version: 1, id: alertId(type, cause), type, severity: catalogue[type].severity, at, recipients, data, deliveries: {}, state: 'pending',
});

export const alertPuts = (alert: Alert): readonly { readonly key: RecordRef; readonly value: JsonObject }[] => [
  { key: alertRef(alert.id), value: alert as unknown as JsonObject },
  { key: outboxRef(alert.id), value: { version: 1 } },
  { key: logRef(alert), value: { version: 1, alert: alert.id } },
];

interface Causing {
  readonly puts: readonly { readonly key: RecordRef; readonly value: JsonObject }[];
  readonly events: readonly { readonly data: JsonObject }[];
}

/** The change with its alerts: their records beside its own, their ids in its first event. */
export const withAlerts = <C extends Causing>(change: C, alerts: readonly Alert[]): C => {
  const [first, ...rest] = change.events;
  if (alerts.length === 0 || first === undefined) return change;
  return {
    ...change,
    puts: [...change.puts, ...alerts.flatMap(alertPuts)],
    events: [{ ...first, data: { ...first.data, alerts: [...alertsOf(first.data), ...alerts.map(({ id }) => id)] } }, ...rest],
  };
};

/** Ids of the alerts that an event brought. */
export const alertsOf = (data: JsonObject): readonly string[] => {
  const { alerts } = data;
  return Array.isArray(alerts) ? alerts.filter((id): id is string => typeof id === 'string') : [];
};

export const readAlert = (value: JsonObject | undefined): Alert | undefined =>
  value !== undefined && value['version'] === 1 && typeof value['id'] === 'string' && (ALERT_TYPES as readonly unknown[]).includes(value['type'])
    ? (value as unknown as Alert)
    : undefined;
