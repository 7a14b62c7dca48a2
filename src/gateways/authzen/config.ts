/** Options of AuthZEN, served on the HTTP listener. */
import { z } from 'zod';

export const POINTER = /^(?:\/(?:[^~/]|~[01]){1,128}){1,8}$/;

export const authzenConfig = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Serve `/access/v1/...` and `/.well-known/authzen-configuration`.'),
    publicUrl: z
      .string()
      .regex(/^https?:\/\/[^\s?#/]+(?:\/[^\s?#]*[^\s?#/])?$/, 'must be a URL without query, fragment and trailing slash')
      .optional()
      .describe('Where enforcement points reach this listener, for the metadata. Absent: scheme and host of the question.'),
    credentialAt: z
      .string()
      .regex(POINTER, 'must be a JSON Pointer')
      .default('/subject/properties/credential')
      .describe('Where an evaluation may carry the credential of its subject (JSON Pointer). One that is there takes the place of the subject, and is kept from policies.'),
    accessRequests: z
      .strictObject({
        enabled: z.boolean().default(true).describe('A denial says which entitlements its subject could ask for, and where (`context.access_request`), as far as they are for it.'),
        people: z.string().regex(/^https?:\/\/[^\s?#/]+(?:\/[^\s?#]*[^\s?#/])?$/, 'must be a URL without query, fragment and trailing slash').optional().describe('Where people ask for a workload: a portal, or `/v1/requests` of the admin API. Absent: only what workloads ask for themselves is told.'),
      })
      .prefault({}),
    bodyBytesMax: z.int().min(1_024).max(16_777_216).default(262_144).describe('Longest body; a longer one is 413.'),
    evaluationsMax: z.int().min(1).max(1_000).default(100).describe('Most evaluations of one request; more are 400.'),
    pageMax: z.int().min(1).max(1_000).default(100).describe('Most results of one page of a search; also the default.'),
    candidatesMax: z.int().min(1).max(10_000).default(200).describe('Most candidates that one page of a search decides about; a page may so be short of results, and has a `next_token` then.'),
  })
  .prefault({});

export type AuthzenConfig = z.output<typeof authzenConfig>;
