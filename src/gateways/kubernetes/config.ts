/** Options of the webhook authorizer for Kubernetes, served on the HTTP listener. */
import { z } from 'zod';

const name = z.string().min(1).max(256);
const template = (names: readonly string[]) =>
  z
    .string()
    .max(1_024)
    .regex(/^[a-z]+:[^\s*]+$/, 'must be a workload id with names in braces')
    .refine((text) => [...text.matchAll(/\{([^{}]*)\}/g)].every(([, found]) => names.includes(found ?? '')), `may only name ${names.map((one) => `{${one}}`).join(', ')}`)
    .refine((text) => names.every((one) => text.includes(`{${one}}`)), `must name ${names.map((one) => `{${one}}`).join(' and ')}`);

export const kubernetesConfig = z
  .strictObject({
    enabled: z.boolean().default(false).describe('Serve `POST /kubernetes/v1/authorize`.'),
    opinions: z
      .array(
        z
          .strictObject({
            users: z.array(name).min(1).max(1_000).optional().describe('User names; a trailing `*` takes all that begin so. Absent: any.'),
            groups: z.array(name).min(1).max(1_000).optional().describe('Groups, one of which the user must be in. Absent: any.'),
            namespaces: z.array(name).min(1).max(1_000).optional().describe('Namespaces of the resource; requests without one do not match. Absent: any, and none.'),
          })
          .refine((entry) => entry.users !== undefined || entry.groups !== undefined || entry.namespaces !== undefined, 'names nothing: give users, groups or namespaces'),
      )
      .max(256)
      .default([])
      .describe('Requests that Curfew has an opinion about: those that fit all members of some entry are allowed or finally denied, others are left to the other authorizers, and counted.'),
    serviceAccount: template(['namespace', 'name'])
      .refine((text) => !/\}[a-z0-9.-]*\{/.test(text), 'needs a character between {namespace} and {name} that neither can have, such as a slash')
      .optional().describe('Workload id of a service account, with `{namespace}` and `{name}`: as the issuer of its tokens is configured, such as `oidc:kubernetes.default.svc/ns/{namespace}/sa/{name}`. Absent: service accounts are denied where there is an opinion.'),
    user: template(['user']).optional().describe('Workload id of any other user, with `{user}`, percent-encoded. Absent: they are denied where there is an opinion.'),
    bodyBytesMax: z.int().min(1_024).max(1_048_576).default(131_072).describe('Longest review; a longer one is denied.'),
  })
  .prefault({});

export type KubernetesConfig = z.output<typeof kubernetesConfig>;
