/**
 * What a policy finds in `input`. Curfew writes these documents (decision/input.ts, admin/admin-policy.ts); here they are
 * described for people and for OPA's type checker. Tests hold real inputs against them.
 */
import { z } from 'zod';
import type { JsonObject } from '../domain/json.ts';

const instant = z.int().min(0);
const resource = z.strictObject({ type: z.string(), id: z.string() });
const anything = z.unknown();
const members = z.record(z.string(), anything);

const grant = z.strictObject({
  id: z.string(),
  model: z.enum(['time-boxed', 'jit', 'break-glass']),
  scopes: z.array(z.strictObject({ actions: z.array(z.string()), resource })).describe('What it covers; a resource id may have the wildcards * (one segment) and ** (the rest).'),
  expires_at_ms: instant.describe('The first instant at which the grant is over.'),
  until_ms: instant.describe('The first instant at which the grant, its task or an ancestor is over by time alone.'),
  owner: z.string().describe('user: or team:, today.'),
  tier: z.string(),
  justification: z.string(),
  direct: z.boolean().describe('Issued without a request.'),
  task: z.string().optional(),
  reference: z.string().optional().describe('Such as an incident, for break-glass.'),
  entitlement: z.string().optional().describe('What is granted at all is in data.curfew.entitlements under this id.'),
  uses_left: z.int().min(0).optional(),
});

const task = z.strictObject({
  id: z.string(),
  kind: z.string(),
  state: z.enum(['open', 'paused', 'closed']),
  owner: z.string(),
  reference: z.string().optional(),
});

const time = {
  now: z.string().describe('RFC 3339, UTC, milliseconds.'),
  now_ms: instant.describe('Milliseconds since 1970. time.now_ns() is the same instant.'),
  realm: z.string(),
};

const curfew = z
  .strictObject({
    ...time,
    protocol: z.enum(['forward-auth', 'ext-authz-http', 'ext-authz-grpc', 'self-service', 'explain', 'authzen', 'opa', 'kubernetes']),
    pep: z.string().nullable().describe('The enforcement point that asks; null when it did not prove who it is.'),
    standing: z.string().optional().describe('The standing entry of the configuration that lets this through without a grant.'),
    action: z.string(),
    resource,
    context: members.optional(),
    source: z.string().optional().describe('Address of the end client, as the enforcement point reports it.'),
    subject: z.strictObject({
      id: z.string(), kind: z.enum(['jwt-svid', 'oidc', 'x509', 'asserted']), trust_domain: z.string().optional(),
      on_behalf_of: z.strictObject({ id: z.string(), prior_actors: z.array(z.string()) }).optional().describe('With a delegated credential (`act`): whom the actor acts for, and who acted before it, the latest first. Only the actor\'s grants are in `grants`.'),
    }).optional(),
    credential: z
      .strictObject({
        issuer: z.string(),
        kind: z.enum(['jwt-svid', 'oidc', 'x509', 'asserted']),
        audience: z.array(z.string()),
        claims: members.describe('Verified.'),
        issued_at_ms: instant.optional(),
        expires_at_ms: instant.optional(),
        confirmed: z.strictObject({ x5t: z.string().optional(), jkt: z.string().optional() }).describe('Keys whose possession was proved for this request.'),
      })
      .optional(),
    peer: z.strictObject({ principal: z.string() }).optional().describe('The identity at the gateway, where the credential is the subject.'),
    grants: z.array(grant).describe('Live and covering, the most specific first.'),
    tasks: z.array(task).describe('Those of the grants.'),
  })
  .describe('Written by Curfew alone; a caller who sends one is refused.');

export const policyInput = z
  .looseObject({
    attributes: anything.optional().describe("As opa-envoy-plugin's, with Envoy and forward-auth."),
    parsed_path: anything.optional(),
    parsed_query: anything.optional(),
    parsed_body: anything.optional(),
    truncated_body: anything.optional(),
    version: anything.optional(),
    subject: anything.optional().describe("AuthZEN's entities."),
    action: anything.optional(),
    resource: anything.optional(),
    context: anything.optional(),
    curfew,
  })
  .describe("Input of the access decision: what the protocol brings, and Curfew's own member.");

export const adminInput = z
  .strictObject({
    curfew: z.strictObject({
      ...time,
      operator: z.strictObject({ id: z.string(), roles: z.array(z.string()), groups: z.array(z.string()) }),
      command: z.string().describe('Such as grant.issue.'),
      target: members,
    }),
  })
  .describe('Input of the decision whether an operator may give a command.');

const jsonSchema = (schema: z.ZodType, id: string): JsonObject => {
  const { $schema: _draft, ...rest } = z.toJSONSchema(schema, { target: 'draft-7' });
  return { $schema: 'http://json-schema.org/draft-07/schema#', title: id, ...rest } as unknown as JsonObject;
};

/** JSON Schemas by the name that annotations give them: `schema["policy-input"]`. */
export const inputSchemas = (): Readonly<Record<string, JsonObject>> => ({
  'policy-input': jsonSchema(policyInput, 'policy-input'),
  'admin-input': jsonSchema(adminInput, 'admin-input'),
  'curfew-input': jsonSchema(curfew, 'curfew-input'),
});
