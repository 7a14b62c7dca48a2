/** Options of OPA's REST API, served on the HTTP listener. */
import { z } from 'zod';
import { POINTER } from '../authzen/config.ts';

const pointer = z.string().regex(POINTER, 'must be a JSON Pointer into the input, such as /method');
const PATH = /^[A-Za-z0-9_.-]{1,128}(?:\/[A-Za-z0-9_.-]{1,128}){0,15}(?:\/\*\*)?$/;

export const opaConfig = z
  .strictObject({
    enabled: z.boolean().default(true).describe("Serve OPA's `/v1/data`, `/v0/data`, `/v1/query`, `POST /` and what belongs to them."),
    credentialAt: pointer.default('/credential').describe('Where the input may carry the credential of the subject (JSON Pointer). It is verified, takes the place of the subject, and is kept from policies.'),
    defaultDecision: z.string().regex(PATH).default('system/main').describe('Path that `POST /` asks for.'),
    bodyBytesMax: z.int().min(1_024).max(16_777_216).default(1_048_576).describe('Longest body, unpacked; a longer one is 413.'),
    paths: z
      .array(
        z.strictObject({
          path: z.string().regex(PATH, 'must be a path below /v1/data, such as shop/authz/allow, or one that ends in /**').describe('Path below `/v1/data`; `/**` covers what lies below.'),
          question: z
            .union([
              z.enum(['envoy', 'apisix', 'authzen']).describe('The input is that of opa-envoy-plugin, of the `opa` plugin of APISIX, or has the entities of AuthZEN'),
              z.strictObject({
                action: z.string().min(1).max(128).describe('JSON Pointer to the action, or the action itself'),
                resource: z.strictObject({ type: z.string().min(1).max(64), id: pointer.describe('JSON Pointer to the id') }),
                subject: pointer.optional().describe('JSON Pointer to the workload that the enforcement point asserts'),
              }),
            ])
            .describe('How action and resource follow from the input.'),
        }),
      )
      .max(256)
      .default([])
      .describe('Paths whose input says what is asked; the first that matches counts. Every other path is itself what is asked for: action `query`, resource type `opa`, its path as the id.'),
  })
  .prefault({});

export type OpaConfig = z.output<typeof opaConfig>;
export type OpaQuestionForm = OpaConfig['paths'][number]['question'];
