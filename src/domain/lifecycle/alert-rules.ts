/** What operators do with alerts: try whether they arrive, and have one delivered again. Every other alert comes with its cause. */
import { alertRef, outboxRef, raise, readAlert, withAlerts } from '../alert.ts';
import type { JsonObject } from '../json.ts';
import { refuse, type Actor, type Change, type Rule } from './change.ts';

export const testAlert = (id: string, actor: Actor): Rule => ({
  ends: false,
  needs: () => [],
  judge: (_loaded, now) => {
    const alert = raise('alert.test', id, now.latest, { by: actor.id });
    const change: Change = {
      puts: [],
      events: [{ type: 'alert.raised', about: [alertRef(alert.id)], ending: false, data: { by: actor.id } }],
      reply: { alert: alert as unknown as JsonObject },
    };
    return { ok: true, change: withAlerts(change, [alert]) };
  },
});

export const redeliverAlert = (id: string, actor: Actor): Rule => ({
  ends: false,
  needs: () => [alertRef(id)],
  judge: (loaded) => {
    const alert = readAlert(loaded.record(alertRef(id))?.value);
    if (alert === undefined) return refuse('not-found', 'there is no such alert');
    if (alert.state !== 'done') return refuse('state', 'the alert is on its way');
    const again = { ...alert, deliveries: {}, state: 'pending' as const } as unknown as JsonObject;
    return {
      ok: true,
      change: {
        puts: [{ key: alertRef(id), value: again }, { key: outboxRef(id), value: { version: 1 } }],
        events: [{ type: 'alert.raised', about: [alertRef(id)], ending: false, data: { by: actor.id, alerts: [id] } }],
        reply: { alert: again },
      },
    };
  },
});
