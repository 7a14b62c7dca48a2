/** Alerts over HTTP: what was raised and what became of it, newest first; trying the channels; delivering again. */
import { z } from '@hono/zod-openapi';
import { ALERT_LOG, ALERT_TYPES, alertRef, alertText, DELIVERY_STATES, readAlert, SEVERITIES, type Alert } from '../domain/alert.ts';
import { toRfc3339, type Instant } from '../domain/instant.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import { pageView } from '../lifecycle/view.ts';
import type { Store } from '../store/port.ts';
import { done, found } from './answers.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { instantText, pageAnswer, pageQuery } from './schemas.ts';

const tag = 'alerts';

const alertAnswer = z.object({
  id: z.string(), type: z.enum(ALERT_TYPES), severity: z.enum(SEVERITIES), at: instantText(), text: z.string(), recipients: z.array(z.string()),
  state: z.enum(['pending', 'done']).describe('done: over for every channel'),
  deliveries: z.record(z.string(), z.object({ state: z.enum(DELIVERY_STATES), at: instantText(), attempts: z.int(), detail: z.string().optional() })).describe('by channel, once it is over there'),
  data: z.record(z.string(), z.unknown()),
}).openapi('Alert');

const alertsQuery = pageQuery.extend({ state: z.enum(['pending']).optional().describe('only those that are not over yet; in no order') });

const view = ({ id, type, severity, at, recipients, state, deliveries, data }: Alert): JsonObject => ({
  id, type, severity, at: toRfc3339(at), text: alertText(type), recipients, state,
  deliveries: Object.fromEntries(Object.entries(deliveries).map(([channel, delivery]) => [channel, { ...delivery, at: toRfc3339(delivery.at as Instant) }])),
  data,
});

const replied = (reply: JsonObject): JsonObject => view(reply['alert'] as unknown as Alert);

export const alertEndpoints = (lifecycle: Pick<Lifecycle, 'testAlert' | 'redeliverAlert'>, store: Pick<Store, 'list' | 'read'>): readonly Endpoint[] => [
  endpoint({
    method: 'get', path: '/alerts', command: 'alert.read', summary: 'List alerts, newest first', tag, query: alertsQuery,
    answers: { 200: { description: 'A page of alerts', schema: pageAnswer(alertAnswer) } },
    handle: async ({ realm, query: { state, after, limit } }) => {
      const { items, next } = await store.list(realm, { kind: state === 'pending' ? 'outbox' : ALERT_LOG, limit, ...(after === undefined ? {} : { after }) });
      const ids = items.map(({ key, value }) => {
        const { alert } = value;
        return typeof alert === 'string' ? alert : key.id;
      });
      const records = await store.read(realm, ids.map(alertRef));
      const alerts = records.flatMap((record) => readAlert(record?.value) ?? []);
      return { status: 200, body: pageView({ items: alerts.map(view), ...(next === undefined ? {} : { next }) }) };
    },
  }),
  endpoint({
    method: 'get', path: '/alerts/{id}', command: 'alert.read', summary: 'One alert', tag,
    answers: { 200: { description: 'The alert', schema: alertAnswer } },
    handle: async ({ realm, params }) => {
      const [record] = await store.read(realm, [alertRef(params['id'] ?? '')]);
      const alert = readAlert(record?.value);
      return found(alert === undefined ? undefined : view(alert), 'alert');
    },
  }),
  endpoint({
    method: 'post', path: '/alerts', command: 'alert.test', summary: 'Raise an alert that only tries the channels', tag,
    answers: { 201: { description: 'The alert', schema: alertAnswer } },
    handle: async ({ call }) => done(await lifecycle.testAlert(call), 201, replied),
  }),
  endpoint({
    method: 'post', path: '/alerts/{id}/redeliver', command: 'alert.redeliver', summary: 'Deliver an alert again, to every channel', tag,
    answers: { 200: { description: 'The alert', schema: alertAnswer } },
    handle: async ({ call, params }) => done(await lifecycle.redeliverAlert(call, params['id'] ?? ''), 200, replied),
  }),
];
