/** The record over HTTP: every event's bytes as they are stored and chained, and how far they are sealed. */
import { z } from '@hono/zod-openapi';
import type { JsonObject } from '../domain/json.ts';
import { formatPosition } from '../domain/position.ts';
import { readSealHead, SEAL_HEAD } from '../audit/record/sealer.ts';
import type { Store } from '../store/port.ts';
import { endpoint, type Endpoint } from './endpoint.ts';

export interface RecordSource {
  readonly store: Pick<Store, 'epoch' | 'facts' | 'read' | 'events'>;
  readonly keyId: string;
  readonly publicJwk: object;
  /** Could an anchor tell that the store was put back to an older state? */
  readonly rollback: 'detectable' | 'undetectable';
}

const EVENTS_MAX = 1_000;
/** An answer holds at least one event, and no further ones beyond this. */
const CHARS_MAX = 4_194_304;

const whole = (most: number, fallback: number) =>
  z.string().regex(/^\d{1,16}$/, 'must be a whole number').transform(Number).refine((value) => value <= most, `must be at most ${most}`).default(fallback)
    .openapi({ type: 'integer', minimum: 0, maximum: most });
const eventsQuery = z.strictObject({ after: whole(Number.MAX_SAFE_INTEGER, 0), limit: whole(EVENTS_MAX, EVENTS_MAX) });

const recordAnswer = z.object({
  realm: z.string(), epoch: z.string(), position: z.string(),
  sealedThrough: z.int().describe('sequence of the last event that a seal covers'), unsealed: z.int(),
  rollback: z.enum(['detectable', 'undetectable']).describe('whether an anchor would tell if the store were put back to an older state'),
  key: z.record(z.string(), z.unknown()).describe('public key, JWK, with which this node signs checkpoints; `kid` is its RFC 7638 thumbprint'),
  checkpoint: z.string().optional().describe('the newest one, a JWS'),
}).openapi('Record');
const eventsAnswer = z.object({
  realm: z.string(), epoch: z.string(), events: z.array(z.string()).describe('text of each event, byte for byte as it was chained'),
  next: z.int().optional().describe('`after` of the next page; absent on the last'),
}).openapi('RecordEvents');

/** What fits, one event in any case. */
const bounded = (texts: readonly string[]): readonly string[] => {
  let chars = 0;
  const end = texts.findIndex((text, index) => (chars += text.length) > CHARS_MAX && index > 0);
  return end === -1 ? texts : texts.slice(0, end);
};

export const recordEndpoints = (source: RecordSource): readonly Endpoint[] => [
  endpoint({
    method: 'get', path: '/audit', command: 'record.read', summary: 'How far the record is sealed', tag: 'audit',
    answers: { 200: { description: 'The state of the record', schema: recordAnswer } },
    handle: async ({ realm }) => {
      const { store, keyId, publicJwk, rollback } = source;
      const [record] = await store.read(realm, [SEAL_HEAD]);
      const { through, checkpoint } = readSealHead(record?.value);
      const { position } = await store.facts({ realm, keys: [] });
      return {
        status: 200,
        body: {
          realm, epoch: store.epoch, position: formatPosition(position), sealedThrough: through, unsealed: Math.max(0, position.sequence - through), rollback,
          key: { ...(publicJwk as JsonObject), kid: keyId }, ...(checkpoint === undefined ? {} : { checkpoint }),
        },
      };
    },
  }),
  endpoint({
    method: 'get', path: '/audit/events', command: 'record.read', summary: 'Events as they are stored, for whoever verifies the chain', tag: 'audit', query: eventsQuery,
    answers: { 200: { description: 'A page of events', schema: eventsAnswer } },
    handle: async ({ realm, query: { after, limit } }) => {
      const read = await source.store.events(realm, { after, limit: Math.max(1, limit) });
      const events = bounded(read.map(({ bytes }) => Buffer.from(bytes).toString('utf8')));
      const more = events.length < read.length || read.length >= Math.max(1, limit);
      return { status: 200, body: { realm, epoch: source.store.epoch, events, ...(more ? { next: read[events.length - 1]?.sequence ?? after } : {}) } };
    },
  }),
];
