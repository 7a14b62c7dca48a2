/** What an operator may say about sealing the record. */
import { z } from 'zod';
import { urlFault } from '../../bounded/url.ts';

const filePath = z.string().min(1).max(4_096);

const fileAnchor = z.strictObject({
  file: filePath.describe('A file on another volume than the store; every checkpoint is appended, one a line. Read at the start'),
});
const urlAnchor = z
  .strictObject({
    url: z.string().min(1).max(2_048).describe('Where checkpoints go by HTTP. `{realm}` and `{sequence}` are filled in; without `{sequence}` the newest is read from there at the start'),
    method: z.enum(['PUT', 'POST']).default('PUT'),
    bearerToken: z.strictObject({ file: filePath }).optional().describe('File of a token that is sent along, read anew each time'),
    insecureLoopback: z.boolean().default(false).describe('Allows http to this machine'),
  })
  .superRefine(({ url, insecureLoopback }, context) => {
    const fault = urlFault(url.replaceAll(/\{(?:realm|sequence)\}/g, 'x'), insecureLoopback);
    if (fault !== undefined) context.addIssue({ code: 'custom', path: ['url'], message: fault });
  });

export const recordConfig = z
  .strictObject({
    sealEveryMs: z.int().min(100).max(3_600_000).default(5_000).describe('How often what happened since is sealed into the chain. Nothing is written while nothing happens'),
    signingKey: z.strictObject({ file: filePath }).optional().describe('PEM file (PKCS 8, Ed25519 or P-256) of the key that signs checkpoints. Absent: one is made in `store.path`'),
    anchors: z.array(z.union([fileAnchor, urlAnchor])).max(8).default([]).describe('Places outside of the store that are told every checkpoint, so that a store that was put back, or a tail that was cut off, is found out'),
  })
  .describe('The record: every event is chained, and the chain is signed.');

export type RecordConfig = z.output<typeof recordConfig>;
export type AnchorConfig = RecordConfig['anchors'][number];
