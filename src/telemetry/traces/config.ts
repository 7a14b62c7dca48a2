/** What an operator may say about traces. */
import { z } from 'zod';
import { urlFault } from '../../bounded/url.ts';

export const tracesConfig = z
  .strictObject({
    url: z.string().min(1).max(2_048).describe('where spans are posted as OTLP/HTTP with JSON, such as `https://collector.example.org:4318/v1/traces`'),
    bearerToken: z.strictObject({ file: z.string().min(1).max(4_096) }).optional().describe('file of a token that is sent along, read anew for each batch'),
    ca: z.string().min(1).max(4_096).optional().describe('PEM file of the authorities to trust instead of the well-known ones'),
    insecureLoopback: z.boolean().default(false).describe('allows http to this machine'),
    ratio: z.number().min(0).max(1).default(0.01).describe('part of the decisions that come without a `traceparent` that is traced; commands that end access always are'),
    fromRequests: z.boolean().default(true).describe('a decision whose request has a sampled `traceparent` is traced, as part of that trace'),
    perSecondMax: z.int().min(1).max(10_000).default(100).describe('most decisions a second that a worker traces, whatever requests say'),
    queueSpansMax: z.int().min(64).max(100_000).default(4_096).describe('spans that wait for the receiver; what is beyond is dropped and counted'),
    batchSpansMax: z.int().min(1).max(10_000).default(512),
    everyMs: z.int().min(10).max(60_000).default(2_000).describe('how long a span may wait for others to make a batch with'),
    timeoutMs: z.int().min(100).max(60_000).default(5_000),
    labels: z.record(z.string().min(1).max(64), z.string().max(256)).default({}).describe('attributes of the resource, beside `service.name` and the like'),
  })
  .superRefine(({ url, insecureLoopback }, context) => {
    const fault = urlFault(url, insecureLoopback);
    if (fault !== undefined) context.addIssue({ code: 'custom', path: ['url'], message: fault });
  })
  .describe('Traces (OpenTelemetry): spans of the steps of decisions, and of commands that end access until they are enforced. Absent: none.');

export type TracesConfig = z.output<typeof tracesConfig>;
