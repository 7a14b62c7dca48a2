/** What an operator may say about issuers. Strict: an unknown member is an error. */
import { z } from 'zod';
import { isTrustDomain } from '../domain/spiffe-id.ts';
import { urlFault } from '../bounded/url.ts';
import { issuerHostAndPath, templateFault, templatesCollide } from './id-template.ts';
import { DEVELOPMENT_TRUST_DOMAIN } from './limits.ts';
import { presets } from './presets.ts';
import { workloadApiConfig } from './workload-api/config.ts';

export const SVID_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'] as const;
export const ALGORITHMS = [...SVID_ALGORITHMS, 'EdDSA', 'Ed25519'] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const text = (max: number) => z.string().min(1).max(max);
const durationMs = (min: number, max: number) => z.int().min(min).max(max);
const path = text(4096);

const remote = {
  ca: path.optional().describe('PEM file of the authorities that may sign the server certificate; without it the well-known ones'),
  bearerTokenFile: path.optional().describe('file whose content is sent as bearer token (Kubernetes API servers ask for one)'),
  refreshMs: durationMs(1_000, DAY_MS).default(5 * MINUTE_MS).describe('how often keys are fetched; spiffe_refresh_hint may shorten it'),
  maxKeyAgeMs: durationMs(1_000, 7 * DAY_MS).default(HOUR_MS).describe('keys fetched longer ago than this verify nothing'),
  timeoutMs: durationMs(10, MINUTE_MS).default(2_000).describe('for one whole fetch'),
  cooldownMs: durationMs(10, HOUR_MS).default(30_000).describe('least time between two fetches that unknown key ids cause'),
  insecureLoopback: z.boolean().default(false).describe('allow http:// on loopback; for tests'),
};

const fileKeys = z.strictObject({ file: path.describe('JWKS file; read again whenever it changes') });
const inlineKeys = z.strictObject({ jwks: z.strictObject({ keys: z.array(z.record(z.string(), z.json())).max(100) }).describe('the keys themselves') });
const workloadApiKeys = z.strictObject({ workloadApi: z.literal(true).describe('the SPIFFE Workload API of `identity.workloadApi` has it') });
const urlKeys = z.strictObject({ url: text(2048).describe('static https URL of the JWKS or bundle; redirects are refused'), ...remote });
const discoveredKeys = z.strictObject({
  discovery: z.literal(true).describe('find the JWKS by {issuer}/.well-known/openid-configuration'),
  hosts: z.array(text(255)).max(8).default([]).describe('hosts (with port, if not 443) that jwks_uri may name besides the issuer itself'),
  ...remote,
});

const common = {
  realms: z.array(text(128)).min(1).max(256).optional().describe('realms in which this issuer counts; without it every realm'),
  audiences: z.array(text(1024)).min(1).max(32).describe('a token must be for at least one of these'),
  leewayMs: durationMs(0, 5 * MINUTE_MS).default(0).describe('distrust of clocks: tokens begin later and end earlier by this much'),
  actorsOf: z.array(text(1024)).max(64).default([]).describe('other issuers (`https://...`, or `spiffe://<trust domain>`) whose workloads its tokens may name as actors, by `iss` in `act`; it speaks for them then'),
  oneTime: z.boolean().default(false).describe('each token may be used once; it must carry a jti'),
};

const spiffe = z.strictObject({
  kind: z.literal('spiffe'),
  trustDomain: z.string().refine(isTrustDomain, 'must be a trust domain name: lower case letters, digits, dots, dashes, underscores').describe('name of the trust domain whose SPIFFE IDs this issuer vouches for'),
  bundle: z.union([fileKeys, urlKeys, inlineKeys, workloadApiKeys]).describe('SPIFFE bundle of this trust domain; never merged with another'),
  algorithms: z.array(z.enum(SVID_ALGORITHMS)).min(1).default([...SVID_ALGORITHMS]).describe('signature algorithms accepted'),
  maxCredentialAgeMs: durationMs(1_000, DAY_MS).default(HOUR_MS).describe('bounds exp - iat and exp - now of JWT-SVIDs'),
  peers: z.boolean().default(true).describe('accept identities of this trust domain that gateways verified at their TLS listeners'),
  maxCertificateAgeMs: durationMs(1_000, 366 * DAY_MS).default(7 * DAY_MS).describe('bounds notAfter - notBefore of their certificates, where seen'),
  ...common,
});

const claimValue = z.union([z.string().max(1024), z.boolean(), z.int()]);
const matcher = z.union([claimValue, z.array(claimValue).min(1).max(64), z.strictObject({ prefix: text(1024) })]);
export type Matcher = z.output<typeof matcher>;

const tokenReview = z.strictObject({
  url: text(2048).describe('of the API server, such as https://kubernetes.default.svc'),
  ca: path.optional().describe('PEM file of the authorities that may sign its certificate; without it the well-known ones'),
  bearerTokenFile: path.describe('file with a token that may create TokenReviews (system:auth-delegator); read at each use'),
  keepMs: durationMs(100, 10 * MINUTE_MS).default(10_000).describe('an answer counts so long: a token of a deleted pod is refused at the latest by then, and so is every one when the API server does not answer'),
  timeoutMs: durationMs(10, MINUTE_MS).default(2_000).describe('for one answer; a decision waits at most until its own deadline'),
  insecureLoopback: z.boolean().default(false).describe('allow http:// on loopback; for tests'),
});

const oidcInput = z.strictObject({
  kind: z.literal('oidc'),
  preset: z.enum(['github', 'gitlab', 'kubernetes']).optional().describe('fills in issuer, id, algorithms and ages where they are not given'),
  issuer: text(1024).optional().describe('exact value of iss; required unless the preset knows it'),
  keys: z.union([discoveredKeys, fileKeys, urlKeys, inlineKeys]).default({
    discovery: true, hosts: [], refreshMs: 5 * MINUTE_MS, maxKeyAgeMs: HOUR_MS, timeoutMs: 2_000, cooldownMs: 30_000, insecureLoopback: false,
  }).describe('where its keys are; default by discovery'),
  algorithms: z.array(z.enum(ALGORITHMS)).min(1).optional().describe('signature algorithms accepted; default RS256 and ES256'),
  types: z.array(text(64)).min(1).max(8).default(['JWT']).describe('acceptable typ header values (case-insensitive); an absent typ is acceptable too'),
  match: z.record(text(256), matcher).default({}).describe('claims that must be there: a value, one of several, or {prefix}; `/` enters objects'),
  id: text(1024).optional().describe('workload id with claims in braces, percent-encoded; default oidc:{issuer}/{sub}'),
  maxCredentialAgeMs: durationMs(1_000, DAY_MS).optional().describe('bounds exp - iat and exp - now; default 1 h'),
  tokenReview: tokenReview.optional().describe('the cluster is asked whether its tokens still count: those of deleted pods do not (Kubernetes)'),
  ...common,
});

const oidc = oidcInput.transform((input, context) => {
  const preset = input.preset === undefined ? undefined : presets[input.preset];
  const issuer = input.issuer ?? preset?.issuer;
  const fail = (at: string, message: string) => context.addIssue({ code: 'custom', path: [at], message });
  const fault = issuer === undefined ? 'is required' : urlFault(issuer, 'insecureLoopback' in input.keys && input.keys.insecureLoopback);
  if (issuer === undefined || fault !== undefined) {
    fail('issuer', fault ?? 'is required');
    return z.NEVER;
  }
  const id = input.id ?? preset?.id ?? 'oidc:{issuer}/{sub}';
  const idFault = templateFault(id, issuer);
  if (idFault !== undefined) fail('id', idFault);
  const reviewFault = input.tokenReview === undefined ? undefined : urlFault(input.tokenReview.url, input.tokenReview.insecureLoopback);
  if (reviewFault !== undefined) fail('tokenReview', `url ${reviewFault}`);
  const sharedBy = preset?.shared === issuer ? preset.ownerClaims : undefined;
  if (sharedBy !== undefined && !sharedBy.some((claim) => Object.hasOwn(input.match, claim))) {
    fail('match', `anyone may get tokens from this issuer: match at least one of ${sharedBy.join(', ')}`);
  }
  return {
    ...input,
    issuer,
    id,
    algorithms: input.algorithms ?? preset?.algorithms ?? (['RS256', 'ES256'] satisfies Algorithm[]),
    maxCredentialAgeMs: input.maxCredentialAgeMs ?? preset?.maxCredentialAgeMs ?? HOUR_MS,
  };
});

export type SpiffeConfig = z.output<typeof spiffe>;
export type OidcConfig = z.output<typeof oidc>;
export type IssuerConfig = SpiffeConfig | OidcConfig;
export type RemoteConfig = z.output<typeof urlKeys> | z.output<typeof discoveredKeys>;

const issuer = z.discriminatedUnion('kind', [spiffe, oidc]);

/** Do two issuers count in one realm? */
const share = (a: IssuerConfig, b: IssuerConfig): boolean =>
  a.realms === undefined || b.realms === undefined || a.realms.some((realm) => b.realms?.includes(realm));

const clash = (a: IssuerConfig, b: IssuerConfig): string | undefined => {
  if (!share(a, b)) return undefined;
  if (a.kind === 'spiffe') return b.kind === 'spiffe' && a.trustDomain === b.trustDomain ? 'the trust domain is configured twice for one realm' : undefined;
  if (b.kind === 'spiffe') return undefined;
  if (a.issuer === b.issuer) return 'the issuer is configured twice for one realm';
  const ids = [a, b].map((one) => one.id.replaceAll('{issuer}', issuerHostAndPath(one.issuer))) as [string, string];
  return templatesCollide(...ids) ? 'its id template could build the ids of another issuer' : undefined;
};

export const identityConfig = z.strictObject({
  workloadApi: workloadApiConfig.optional().describe("the SPIFFE Workload API, as a source of trust bundles and of the certificates of Curfew's own listeners"),
  issuers: z.array(issuer).max(64).default([]).describe('trust domains and OIDC issuers whose credentials are accepted').superRefine((issuers, context) => {
    for (const [index, one] of issuers.entries()) {
      const fail = (message: string, at: PropertyKey[]) => context.addIssue({ code: 'custom', path: [index, ...at], message });
      for (const other of issuers.slice(0, index)) {
        const fault = clash(one, other);
        if (fault !== undefined) fail(fault, [one.kind === 'spiffe' ? 'trustDomain' : 'issuer']);
      }
      for (const [at, name] of one.actorsOf.entries()) {
        if (!issuers.some((other) => other !== one && (other.kind === 'spiffe' ? `spiffe://${other.trustDomain}` : other.issuer) === name && share(one, other))) fail('is no other issuer of its realms', ['actorsOf', at]);
      }
      if (one.kind === 'spiffe' && one.trustDomain === DEVELOPMENT_TRUST_DOMAIN) fail('is kept for development identities', ['trustDomain']);
      const keys = one.kind === 'spiffe' ? one.bundle : one.keys;
      const at = one.kind === 'spiffe' ? 'bundle' : 'keys';
      if ('url' in keys) {
        const fault = urlFault(keys.url, keys.insecureLoopback);
        if (fault !== undefined) fail(fault, [at, 'url']);
      }
      if ('maxKeyAgeMs' in keys && keys.maxKeyAgeMs < keys.refreshMs) fail('must not be shorter than refreshMs', [at, 'maxKeyAgeMs']);
    }
  }),
  filePollMs: durationMs(10, MINUTE_MS).default(1_000).describe('how often key files are looked at for changes'),
  rememberedTokensMax: z.int().min(0).max(1_000_000).default(12_000).describe('verified tokens remembered at most'),
  dpop: z.strictObject({
    maxAgeMs: durationMs(1_000, 10 * MINUTE_MS).default(MINUTE_MS).describe('a proof older than this is refused'),
    aheadMs: durationMs(0, MINUTE_MS).default(5_000).describe("how far a proof's iat may lie in the future (clients' clocks)"),
  }).prefault({}),
}).superRefine(({ issuers, workloadApi }, context) => {
  for (const [index, one] of issuers.entries()) {
    if (one.kind !== 'spiffe' || !('workloadApi' in one.bundle) || workloadApi !== undefined) continue;
    context.addIssue({ code: 'custom', path: ['issuers', index, 'bundle', 'workloadApi'], message: 'needs `identity.workloadApi`' });
  }
}).describe('Who may vouch for workloads, and how');

export type IdentityConfig = z.output<typeof identityConfig>;
