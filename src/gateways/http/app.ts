/** What the HTTP gateway serves besides decisions: health, and self-service. Anything else is 404. */
import { Hono } from 'hono';
import { json, problem } from './problem.ts';
import type { SelfServiceApp, SelfServiceDeps } from '../self-service/routes.ts';
import { selfServiceRoutes } from '../self-service/routes.ts';

export interface AppDeps {
  /** Can decisions be served? `detail` is for people. */
  readonly ready: () => { readonly ready: boolean; readonly detail?: string };
  /** Absent: no self-service here. */
  readonly selfService?: SelfServiceDeps | undefined;
}

export const createApp = (deps: AppDeps): SelfServiceApp => {
  const app: SelfServiceApp = new Hono();
  app.get('/health/live', () => json({ status: 'live' }));
  app.get('/health/ready', () => {
    const { ready, detail } = deps.ready();
    return json({ status: ready ? 'ready' : 'not ready', ...(detail === undefined ? {} : { detail }) }, ready ? 200 : 503);
  });
  if (deps.selfService !== undefined) selfServiceRoutes(app, deps.selfService);
  app.notFound(() => problem(404, 'not_found', 'there is nothing here'));
  // Says nothing of the cause: that is for the log of whoever threw.
  app.onError(() => problem(500, 'internal', 'something failed here'));
  return app;
};
