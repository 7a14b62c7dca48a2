/** Configuration of the admin listener and of who its operators are. */
import { z } from 'zod';
import { ROLES } from '../domain/lifecycle/roles.ts';
import { tlsFaults } from '../grpc/config.ts';
import { isLoopback } from '../domain/loopback.ts';
import { isOidcId, isPerson } from '../domain/lifecycle/fields.ts';

const roles = z.array(z.enum(ROLES)).default([]);

export const operatorsConfig = z
  .strictObject({
    issuers: z
      .array(z.string().min(1).max(500))
      .default([])
      .describe('issuers whose tokens may be operator credentials, as in identity.issuers; none: only what the bootstrap credential and the store know'),
    audience: z.string().min(1).max(500).default('curfew-admin').describe('audience that an operator token must have, so that no workload token is one'),
    groupsClaim: z.string().min(1).max(200).default('groups').describe('claim that lists the groups of an operator'),
    groups: z
      .record(z.string().min(1).max(500), z.strictObject({
        roles,
        realms: z.array(z.string().min(1)).min(1).optional().describe('realms in which it gives them; default all'),
        team: z.string().refine((team) => isPerson(team) && team.startsWith('team:'), 'must be a team such as team:shop').optional().describe('the team that this group is'),
      }).refine((group) => group.roles.length > 0 || group.team !== undefined, 'must have roles or a team'))
      .default({})
      .describe('roles and teams by group, as tokens name them; of people that a source tells us of (`signals.scim`), as that source does'),
    persons: z
      .record(z.string().refine(isOidcId, 'must be an account such as oidc:issuer.example/subject'), z.string().refine((person) => isPerson(person) && person.startsWith('user:'), 'must be a person such as user:alice'))
      .default({})
      .describe('which person an account is; several accounts may be one person'),
    bootstrapTokenFile: z.string().min(1).optional().describe('where the bootstrap credential is written at the first start; it ends after 1 h and configures operators only'),
  })
  .describe('who may use the admin API, and as what');
export type OperatorsConfig = z.infer<typeof operatorsConfig>;

export const adminConfig = z
  .strictObject({
    host: z.string().min(1).default('127.0.0.1').describe('address to listen on'),
    port: z.int().min(0).max(65_535).default(8182).describe('0: any free one, printed'),
    tls: z.strictObject({
      cert: z.string().min(1).optional().describe('file with the certificate chain, PEM'),
      key: z.string().min(1).optional().describe('file with the private key, PEM'),
      workloadApi: z.literal(true).optional().describe("in place of files: Curfew's SVID, from `identity.workloadApi`"),
    }).superRefine(tlsFaults).optional().describe('TLS; needed beyond loopback'),
    plaintext: z.literal('allowed').optional().describe('serve operators without TLS beyond loopback: only behind something that brings it'),
    allowedHosts: z.array(z.string().regex(/^[a-z0-9.-]+$|^\[[0-9a-f:.]+\]$/, 'must be a host name in lower case, without port')).max(100).default([]).describe('values of the Host header accepted beside loopback names'),
    allowedOrigins: z.array(z.string().regex(/^https?:\/\/[a-z0-9.:[\]-]+$/, 'must be an origin such as https://console.example')).max(100).default([]).describe('web origins whose requests are accepted'),
    operators: operatorsConfig.prefault({}),
  })
  .superRefine(({ host, tls, plaintext }, context) => {
    if (isLoopback(host) || tls !== undefined || plaintext !== undefined) return;
    context.addIssue({ code: 'custom', path: ['tls'], message: 'is needed on an address beyond loopback, because operator credentials cross it; or write `plaintext: allowed`' });
  })
  .describe('the admin API');
