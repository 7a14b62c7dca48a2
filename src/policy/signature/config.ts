/** What an operator may say about signatures of bundles. Strict: an unknown member is an error. */
import { z } from 'zod';

/** Those that OPA takes. */
export const SIGNING_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'HS256', 'HS384', 'HS512'] as const;
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];

const id = z.string().min(1).max(256);
const scope = z.string().max(256);

export const signingKeyConfig = z.strictObject({
  algorithm: z.enum(SIGNING_ALGORITHMS).default('RS256').describe('The one algorithm that signatures by this key have'),
  file: z.string().min(1).max(4_096).describe('PEM file of the public key or of a certificate; for HS256 to HS512 the file of the shared secret, every byte of it. Read again at every check'),
  scope: scope.default('').describe('What signatures by this key must say as `scope`; empty: nothing'),
});
export type SigningKeyConfig = z.output<typeof signingKeyConfig>;

export const signingConfig = z
  .strictObject({
    required: z.boolean().optional().describe('A bundle without a signature is refused. Default: true as soon as there are `keys`. A signature that is there must hold in any case'),
    keys: z.record(id, signingKeyConfig).refine((keys) => Object.keys(keys).length <= 64, 'must be at most 64 keys').default({}).describe('By id: the keys that may sign'),
    keyId: id.optional().describe('The key that must have signed. Default: the one whose id the signature names'),
    scope: scope.optional().describe('What signatures must say as `scope`, instead of what the key says'),
  })
  .superRefine(({ keys, keyId, required }, context) => {
    const none = Object.keys(keys).length === 0;
    if (required === true && none) context.addIssue({ code: 'custom', path: ['keys'], message: 'must name at least one key, since signatures are required' });
    if (keyId !== undefined && !Object.hasOwn(keys, keyId)) context.addIssue({ code: 'custom', path: ['keyId'], message: 'is not the id of one of the keys' });
  })
  .describe('Signatures of bundles, as `opa sign` and `opa build --signing-key` make them.');
export type SigningConfig = z.output<typeof signingConfig>;

export const signatureRequired = ({ required, keys }: SigningConfig): boolean => required ?? Object.keys(keys).length > 0;
