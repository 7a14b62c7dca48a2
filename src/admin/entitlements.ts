/** Entitlements over HTTP: read only. They are code, and change with the bundle. */
import { z } from '@hono/zod-openapi';
import type { JsonObject } from '../domain/json.ts';
import { entitlementsOf, entitlementView, type ActiveEntitlements } from '../lifecycle/entitlements.ts';
import { pageView } from '../lifecycle/view.ts';
import { found } from './answers.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { pageAnswer } from './schemas.ts';

const tag = 'entitlements';
const LIST_MAX = 1_000;

const answer = z.object({
  id: z.string(), owner: z.string(), fallbackOwner: z.string(), model: z.string(), tier: z.string(), direct: z.boolean(),
  scopes: z.array(z.unknown()), alerts: z.array(z.string()), reference: z.string(),
  request: z.record(z.string(), z.unknown()).optional(), approval: z.record(z.string(), z.unknown()).optional(),
  digest: z.string().optional().describe('SHA-256 of its text; an approval is bound to it'),
}).loose().openapi('Entitlement');

const query = z.strictObject({
  action: z.string().min(1).max(128).optional(),
  resourceType: z.string().min(1).max(64).optional(), resourceId: z.string().min(1).max(2_048).optional(),
});

export const entitlementEndpoints = (policy: () => ActiveEntitlements | undefined): readonly Endpoint[] => [
  endpoint({
    method: 'get', path: '/entitlements', command: 'entitlement.read', summary: 'List entitlements, or those that could let somebody do this', tag, query,
    answers: { 200: { description: 'At most 1,000, by name', schema: pageAnswer(answer) } },
    handle: async ({ query: { action, resourceType, resourceId } }) => {
      if ([action, resourceType, resourceId].some((part) => part === undefined) && [action, resourceType, resourceId].some((part) => part !== undefined)) {
        return { problem: { code: 'invalid', detail: 'action, resourceType and resourceId are given together' } };
      }
      const resource = resourceType === undefined || resourceId === undefined ? undefined : { type: resourceType, id: resourceId };
      return { status: 200, body: pageView({ items: entitlementsOf(policy(), { action, resource }).slice(0, LIST_MAX) as unknown as readonly JsonObject[] }) };
    },
  }),
  endpoint({
    method: 'get', path: '/entitlements/{id}', command: 'entitlement.read', summary: 'One entitlement', tag,
    answers: { 200: { description: 'The entitlement as the active bundle has it', schema: answer } },
    handle: async ({ params }) => found(entitlementView(policy(), params['id'] ?? ''), 'entitlement'),
  }),
];
