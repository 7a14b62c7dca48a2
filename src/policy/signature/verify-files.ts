/**
 * The signature of a bundle: does it cover exactly these files, by a key that the configuration names? Refuses whatever OPA
 * refuses, and beyond that: MD5 and SHA-1, a file named twice, an algorithm in the header that is not the key's, JSON that
 * can be read in two ways. Nothing in the bundle chooses what it is checked with but the id of one of the configured keys.
 */
import { createHash } from 'node:crypto';
import { compactVerify, decodeProtectedHeader } from 'jose';
import { z } from 'zod';
import { parseStrictJson } from '../../domain/strict-json.ts';
import { BundleRefused, quoted } from '../bundle/bundle-refused.ts';
import { BUNDLE_LIMITS } from '../bundle/limits.ts';
import { signatureRequired, type SigningConfig } from './config.ts';
import { readSigningKey } from './signing-key.ts';
import { structuredDigest } from './structured-digest.ts';

export const SIGNATURES_FILE = '.signatures.json';
const SIGNATURES_BYTES_MAX = 4 * 1024 * 1024;

/** OPA's names of the hashes that are still safe to sign; it makes SHA-256 itself. */
const HASHES = new Map([
  ['SHA-224', 'sha224'], ['SHA-256', 'sha256'], ['SHA-384', 'sha384'], ['SHA-512', 'sha512'], ['SHA-512-224', 'sha512-224'], ['SHA-512-256', 'sha512-256'],
]);

export interface SignedBy {
  readonly keyId: string;
  /** `iat` as signed, in seconds. */
  readonly issuedAt?: number;
}

/** Reads YAML as OPA does, to JSON text. */
export type YamlToJson = (text: string) => Promise<string>;

const signaturesSchema = z.strictObject({
  signatures: z.array(z.string()).length(1, 'must be exactly one'),
  plugin: z.enum(['', '_default'], 'names a verifier of its own').optional(),
});

/** Other claims are allowed and mean nothing, as in OPA. */
const payloadSchema = z.object({
  files: z.array(z.object({ name: z.string().min(1).max(1_024), hash: z.string().regex(/^(?:[0-9a-fA-F]{2})+$/), algorithm: z.string() })).max(BUNDLE_LIMITS.entriesMax),
  keyid: z.string().optional(),
  scope: z.string().optional(),
  iat: z.number().optional(),
});
type Payload = z.output<typeof payloadSchema>;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const parsed = <T>(schema: z.ZodType<T>, bytes: Uint8Array, what: string): T => {
  let text = '';
  try {
    text = utf8.decode(bytes);
  } catch {
    // Not JSON either.
  }
  const value = parseStrictJson(text);
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw new BundleRefused('signature.malformed', value === undefined ? `${what} is not JSON that can be read in one way only` : `${what}: ${quoted(issue?.path.join('.') ?? '')} ${issue?.message ?? 'is malformed'}`);
};

const tokenIn = (bytes: Uint8Array): string => {
  if (bytes.length > SIGNATURES_BYTES_MAX) throw new BundleRefused('signature.malformed', `${SIGNATURES_FILE} is larger than ${SIGNATURES_BYTES_MAX} bytes`);
  return parsed(signaturesSchema, bytes, SIGNATURES_FILE).signatures[0] ?? '';
};

/** What the token says of itself, before anything of it is believed. */
const saidBy = (token: string): { readonly alg: unknown; readonly kid: unknown; readonly payload: Payload } => {
  try {
    const { alg, kid, crit } = decodeProtectedHeader(token);
    if (crit !== undefined) throw new BundleRefused('signature.malformed', 'the signature asks for more than a JWT (`crit`)');
    return { alg, kid, payload: parsed(payloadSchema, Buffer.from(token.split('.')[1] ?? '', 'base64url'), 'the signed list of files') };
  } catch (cause) {
    if (cause instanceof BundleRefused) throw cause;
    throw new BundleRefused('signature.malformed', 'the signature is no JWT', { cause });
  }
};

const verifiedPayload = async (token: string, config: SigningConfig): Promise<{ readonly payload: Payload; readonly keyId: string }> => {
  const said = saidBy(token);
  const keyId = config.keyId ?? said.kid ?? said.payload.keyid;
  if (typeof keyId !== 'string' || keyId === '') throw new BundleRefused('signature.key', 'the signature names no key; name the one it must be by in policy.signing.keyId');
  const keyConfig = Object.hasOwn(config.keys, keyId) ? config.keys[keyId] : undefined;
  if (keyConfig === undefined) throw new BundleRefused('signature.key', `signed by ${quoted(keyId)}, which is none of policy.signing.keys`);
  const { algorithm, file, scope } = keyConfig;
  const read = readSigningKey(keyConfig);
  if ('fault' in read) throw new BundleRefused('signature.key', `the key ${quoted(keyId)} can not be used: ${file} ${read.fault}`);
  if (said.alg !== algorithm) throw new BundleRefused('signature.invalid', `signed with ${quoted(String(said.alg))}, and the key ${quoted(keyId)} is for ${algorithm}`);
  let signed: Uint8Array;
  try {
    signed = (await compactVerify(token, read.key, { algorithms: [algorithm] })).payload;
  } catch (cause) {
    throw new BundleRefused('signature.invalid', `the signature is not by the key ${quoted(keyId)}`, { cause });
  }
  const payload = parsed(payloadSchema, signed, 'the signed list of files');
  const [has, wants] = [payload.scope ?? '', config.scope ?? scope];
  if (has !== wants) throw new BundleRefused('signature.scope', `signed for the scope ${quoted(has)}, not ${quoted(wants)}`);
  return { payload, keyId };
};

const isYaml = (name: string): boolean => /(?:^|\/)data\.ya?ml$/.test(name);
const isStructured = (name: string): boolean => /(?:^|\/)(?:data\.json|\.manifest)$/.test(name) || isYaml(name);

const digestOf = async (name: string, bytes: Uint8Array, hasher: string, yamlToJson: YamlToJson | undefined): Promise<Uint8Array> => {
  if (!isStructured(name)) return createHash(hasher).update(bytes).digest();
  const depthMax = BUNDLE_LIMITS.jsonDepthMax;
  const digest = await structuredDigest({ bytes, depthMax, hasher });
  if (digest !== undefined) return digest;
  if (isYaml(name) && yamlToJson !== undefined) {
    const json = await yamlToJson(Buffer.from(bytes).toString('utf8')).catch(() => undefined);
    const converted = json === undefined ? undefined : await structuredDigest({ bytes: Buffer.from(json), depthMax, hasher });
    if (converted !== undefined) return converted;
  }
  throw new BundleRefused('signature.files', `${quoted(name)} can not be read in one way only, so nothing is known to be signed`);
};

const checkFiles = async (files: ReadonlyMap<string, Uint8Array>, listed: Payload['files'], yamlToJson: YamlToJson | undefined): Promise<void> => {
  const refuse = (why: string): never => {
    throw new BundleRefused('signature.files', why);
  };
  const left = new Map(files);
  left.delete(SIGNATURES_FILE);
  const names = new Set<string>();
  for (const { name, hash, algorithm } of listed) {
    if (names.has(name)) refuse(`${quoted(name)} is signed twice`);
    names.add(name);
    const bytes = left.get(name) ?? refuse(`${quoted(name)} is signed and not there`);
    const hasher = HASHES.get(algorithm) ?? refuse(`${quoted(name)} is hashed with ${quoted(algorithm)}, which is not accepted`);
    const digest = await digestOf(name, bytes, hasher, yamlToJson);
    if (!Buffer.from(hash, 'hex').equals(digest)) refuse(`${quoted(name)} is not what was signed`);
    left.delete(name);
  }
  const [extra] = left.keys();
  if (extra !== undefined) refuse(`${quoted(extra)} is not signed`);
};

/**
 * Rejects with `BundleRefused`. `undefined`: there is no signature, and none is required. `files`: all of the bundle by name
 * without a leading `/`, `.signatures.json` too.
 */
export const verifyFiles = async (files: ReadonlyMap<string, Uint8Array>, config: SigningConfig, yamlToJson?: YamlToJson): Promise<SignedBy | undefined> => {
  const signatures = files.get(SIGNATURES_FILE);
  if (signatures === undefined) {
    if (signatureRequired(config)) throw new BundleRefused('signature.missing', `has no ${SIGNATURES_FILE}, and a signature is required`);
    return undefined;
  }
  const { payload, keyId } = await verifiedPayload(tokenIn(signatures), config);
  await checkFiles(files, payload.files, yamlToJson);
  return { keyId, ...(payload.iat === undefined ? {} : { issuedAt: payload.iat }) };
};
