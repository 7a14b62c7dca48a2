/** Delivering alerts, as a piece of housekeeping: channels as configured, the outbox of every realm. */
import { createDeliverer } from '../alerts/deliverer.ts';
import { openChannels } from '../alerts/open-channels.ts';
import type { Core } from '../compose.ts';
import { newId } from '../lifecycle/new-id.ts';
import { createRounds, type Rounds } from '../lifecycle/rounds.ts';
import { errorText, type Log } from '../telemetry/log.ts';
import type { SupervisorMetrics } from '../telemetry/metrics.ts';

/** After a look that failed: whoever can't read the store need not try four times a second, nor say so. */
const FAILED_PAUSE_MS = 5_000;

const LEVEL = { info: 'info', warning: 'warn', critical: 'error' } as const;

export const createAlerting = ({ config, clock, store }: Core, { log, metrics }: { readonly log: Log; readonly metrics: SupervisorMetrics['alerts'] }): Rounds => {
  const { alerts, realms } = config;
  let failed = false;
  const onError = (error: unknown): void => {
    failed = true;
    log.error('alerts can not be looked for, or what became of one can not be written down', { detail: errorText(error) });
  };
  const deliverer = createDeliverer({
    store, clock, realms, onError,
    channels: openChannels(alerts, { clock, secrets: { env: (name) => process.env[name] }, writeLine: (severity, fields) => log[LEVEL[severity]]('alert', fields) }),
    retryMaxMs: alerts.retryMaxMs,
    giveUpAfterMs: alerts.giveUpAfterMs,
    holder: newId(clock.now().latest),
    random: Math.random,
    onTry: (channel, outcome) => {
      metrics.tries.inc({ channel, outcome });
      if (outcome === 'given-up') log.error('an alert was given up: its channel was not there for too long', { channel });
    },
  });
  const round = async (): Promise<void> => {
    failed = false;
    await deliverer.look();
    metrics.pending.set(deliverer.pending());
  };
  const rounds = createRounds({ round, pauseMs: () => (failed ? FAILED_PAUSE_MS : alerts.pollMs), monotonicMs: clock.monotonicMs, onError });
  return {
    start: rounds.start,
    stop: async () => {
      await rounds.stop();
      await deliverer.close();
    },
  };
};
