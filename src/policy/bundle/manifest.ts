/** A bundle's `.manifest`: who made it, what it owns, and where its modules are. */
import { z } from 'zod';
import { BundleRefused, quoted } from './bundle-refused.ts';
import type { BundleLimits } from './limits.ts';
import { parseJsonObject } from './parse-json.ts';

const manifestSchema = z.object({
  revision: z.string().max(256).regex(/^[\u0021-\u007e]*$/, 'must be printable ASCII without blanks').default(''),
  roots: z.array(z.string().max(1024)).max(1000).default(['']),
  wasm: z
    .array(z.object({ entrypoint: z.string().min(1).max(1024), module: z.enum(['/policy.wasm', 'policy.wasm']) }))
    .max(1000)
    .optional(),
  // Which version of Rego the modules are in: the compiler reads both members from the manifest's text.
  rego_version: z.union([z.literal(0), z.literal(1)]).optional(),
  file_rego_versions: z.record(z.string().max(1024), z.union([z.literal(0), z.literal(1)])).optional(),
});

export type Manifest = z.output<typeof manifestSchema>;

/** It is read before anything is known to be signed. */
const MANIFEST_BYTES_MAX = 1024 * 1024;

/** Without a manifest a bundle has no revision and owns everything. Throws `BundleRefused`. */
export const readManifest = (bytes: Uint8Array | undefined, limits: BundleLimits): Manifest => {
  if (bytes === undefined) return { revision: '', roots: [''] };
  if (bytes.byteLength > MANIFEST_BYTES_MAX) throw new BundleRefused('manifest.malformed', `.manifest is larger than ${MANIFEST_BYTES_MAX} bytes`);
  const read = manifestSchema.safeParse(parseJsonObject(bytes, 'manifest.malformed', '.manifest', limits).value);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw new BundleRefused('manifest.malformed', `.manifest: ${quoted(issue?.path.join('.') ?? '')} ${issue?.message ?? 'is malformed'}`);
};
