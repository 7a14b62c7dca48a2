/** Options that all gateways for HTTP requests share: routes and enforcement points. */
import { z } from 'zod';
import { SCHEMES, canonicalAuthority } from '../domain/authority.ts';
import type { DurationMs } from '../domain/instant.ts';
import { parseIdTemplate, parsePathTemplate } from '../domain/route.ts';
import type { Route, Template } from '../domain/route.ts';

const keep = z.literal('keep').optional();
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;
const STREAM_MS_MAX = 86_400_000;

/** Authorities in canonical form; without a scheme at hand a written `:80` or `:443` stays. */
const canonicalHost = (text: string, context: z.RefinementCtx): string => {
  const host = canonicalAuthority(text, text.endsWith(':443') ? 'http' : 'https');
  if (host !== undefined) return host;
  context.addIssue({ code: 'custom', message: 'is not a host, an IPv4 address or a bracketed IPv6 address, with an optional port' });
  return z.NEVER;
};

const template = (context: z.RefinementCtx, path: string[], parsed: Template | string): Template => {
  if (typeof parsed !== 'string') return parsed;
  context.addIssue({ code: 'custom', path, message: parsed });
  return z.NEVER;
};

export const routeConfig = z
  .strictObject({
    id: z.string().min(1).max(64).describe('Name of the route, for people'),
    match: z.strictObject({
      methods: z.array(z.string().regex(token)).min(1).optional().describe('Methods, case-sensitive; absent: any'),
      hosts: z.array(z.string().transform(canonicalHost)).min(1).optional().describe('Authorities; absent: any'),
      path: z.string().describe('Path template: `{name}` is one non-empty segment, `**` (last only) any number of segments'),
    }),
    action: z.string().min(1).max(128).optional().describe('Action asked for; absent: the method'),
    resource: z
      .strictObject({
        type: z.string().min(1).max(64),
        id: z.string().describe('Id template of whole segments: names of the path, `{host}`, `{method}`, and last `{rest}` for what `**` took'),
      })
      .optional()
      .describe('Resource asked for; absent: `http`, host and path'),
    encodedSlash: keep.describe('`%2F` stays one segment, written `%2F`: only where the backend does the same'),
    encodedPercent: keep.describe('`%25` is accepted, written `%25`'),
    encodedDelimiter: keep.describe('`%3F` and `%23` are accepted, written as they are'),
    semicolon: keep.describe('`;` is part of its segment: only where the backend knows no path parameters'),
    trailingDot: keep.describe('Segments may end in a dot or a space: only where the backend does not drop them'),
    methodOverride: z.literal('ignore').optional().describe('The backend reads no method-override headers, so they may be there'),
    maxStreamMs: z.int().positive().max(STREAM_MS_MAX).optional().describe('Streams, upgrades and gRPC are allowed and end after this many ms'),
    upgrade: z.array(z.string().toLowerCase().regex(token)).default([]).describe('Protocols that an upgrade may name, such as `websocket`'),
  })
  .transform((options, context): Route => {
    const path = template(context, ['match', 'path'], parsePathTemplate(options.match.path));
    if (path === z.NEVER) return z.NEVER;
    const id = options.resource === undefined ? undefined : template(context, ['resource', 'id'], parseIdTemplate(options.resource.id, path));
    if (options.upgrade.length > 0 && options.maxStreamMs === undefined) {
      context.addIssue({ code: 'custom', path: ['upgrade'], message: 'needs maxStreamMs' });
    }
    const { encodedSlash, encodedPercent, encodedDelimiter, semicolon, trailingDot } = options;
    return {
      id: options.id,
      methods: options.match.methods === undefined ? undefined : new Set(options.match.methods),
      hosts: options.match.hosts === undefined ? undefined : new Set(options.match.hosts),
      path,
      action: options.action,
      resource: options.resource === undefined || id === undefined ? undefined : { type: options.resource.type, id },
      target: { encodedSlash, encodedPercent, encodedDelimiter, semicolon, trailingDot },
      methodOverride: options.methodOverride,
      maxStreamMs: options.maxStreamMs as DurationMs | undefined,
      upgrade: new Set(options.upgrade),
    };
  });

/** A workload id, or the beginning of some. */
const ASSERTED = /^(?:\*|[a-z]+:[^\s*]{1,2000}(?:\/\*\*)?)$/;

const hex256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits');

export const pepConfig = z
  .strictObject({
    id: z.string().regex(/^[A-Za-z0-9._:/-]{1,128}$/).describe('Id of the enforcement point, as selectors and records name it'),
    token: z
      .union([
        z.strictObject({ sha256: hex256.describe('SHA-256 of the token') }),
        z.strictObject({ file: z.string().min(1).describe('File that holds the token') }),
        z.strictObject({ env: z.string().min(1).describe('Environment variable that holds the token') }),
      ])
      .optional()
      .describe('The token it presents as `x-curfew-pep-token`'),
    certificate: z
      .strictObject({
        san: z.string().min(1).optional().describe('URI or DNS name in the certificate, exactly'),
        sha256: hex256.optional().describe('SHA-256 of the DER certificate'),
      })
      .refine((match) => match.san !== undefined || match.sha256 !== undefined, 'needs san or sha256')
      .optional()
      .describe('The client certificate it presents; all given members must match'),
    unixListener: z.string().min(1).optional().describe('Id of a Unix-socket listener: whoever may connect there is this enforcement point'),
    realms: z.array(z.string().min(1)).min(1).default(['default']).describe('Realms it may ask about; the first is the default'),
    headers: z.enum(['x-forwarded', 'x-original']).default('x-forwarded').describe('The family of headers that carries the original request'),
    scheme: z.enum(SCHEMES).default('http').describe('Scheme of the original request where its headers name none (`x-original`)'),
    hosts: z
      .array(z.union([z.literal('*'), z.string().transform(canonicalHost)]))
      .default([])
      .describe('Authorities it may ask about over HTTP gateways; `*`: any. Empty: none'),
    subject: z.enum(['token', 'peer']).default('token').describe('Where the subject comes from: the bearer credential, or the peer that the gateway verified'),
    xfcc: z
      .strictObject({
        elementsMax: z.int().positive().max(8).default(1).describe('Most elements of `x-forwarded-client-cert`'),
        take: z.enum(['first', 'last']).default('last').describe('Of several: `last` is the peer of the gateway itself, `first` the original client'),
      })
      .optional()
      .describe('Present: `x-forwarded-client-cert` from it is believed'),
    asserts: z
      .array(z.string().regex(ASSERTED, 'must be a workload id, one that ends in `/**`, or `*`'))
      .max(1_000)
      .default([])
      .describe('Workloads that it may name as the subject where the protocol lets it (AuthZEN, OPA, Kubernetes): ids, `<id>/**` for whole segments below one, `*` for any. Empty: none, so that only credentials count'),
    obligations: z.array(z.string().min(1)).default([]).describe('Obligation types it can carry out'),
  })
  .refine((pep) => pep.token !== undefined || pep.certificate !== undefined || pep.unixListener !== undefined, {
    message: 'needs a token, a certificate or a unixListener to prove itself by',
  });

export type PepConfig = z.output<typeof pepConfig>;
