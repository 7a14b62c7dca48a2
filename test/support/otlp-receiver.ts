/** A receiver of traces over OTLP/HTTP with JSON: reads what the protocol says and refuses everything else, by name. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { z } from 'zod';

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`)).refine((text) => !/^0+$/.test(text));
const int64 = z.string().regex(/^-?[0-9]{1,20}$/);
const anyValue = z.union([z.strictObject({ stringValue: z.string() }), z.strictObject({ boolValue: z.boolean() }), z.strictObject({ intValue: int64 }), z.strictObject({ doubleValue: z.number() })]);
const attributes = z.array(z.strictObject({ key: z.string().min(1), value: anyValue }));
const span = z.strictObject({
  traceId: hex(16), spanId: hex(8), parentSpanId: hex(8).optional(), name: z.string().min(1), kind: z.int().min(1).max(5),
  startTimeUnixNano: int64, endTimeUnixNano: int64, attributes, status: z.strictObject({ code: z.int().min(0).max(2) }).optional(),
});
const request = z.strictObject({
  resourceSpans: z.array(z.strictObject({
    resource: z.strictObject({ attributes }),
    scopeSpans: z.array(z.strictObject({ scope: z.strictObject({ name: z.string().min(1), version: z.string().optional() }), spans: z.array(span).min(1) })),
  })).min(1),
});

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string | undefined;
  readonly name: string;
  readonly kind: number;
  readonly from: bigint;
  readonly to: bigint;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly failed: boolean;
  readonly resource: Readonly<Record<string, string | number | boolean>>;
}

export interface OtlpReceiver {
  readonly url: string;
  readonly spans: ReceivedSpan[];
  /** Each request as it came: its text, and its headers. */
  readonly requests: { readonly text: string; readonly headers: IncomingMessage['headers'] }[];
  /** What was no request of the protocol. */
  readonly faults: string[];
  /** Answers with this from now on; what it refuses it does not keep. */
  answer(status: number): void;
  close(): Promise<void>;
}

const plain = (list: z.output<typeof attributes>): ReceivedSpan['attributes'] =>
  Object.fromEntries(list.map(({ key, value }) => [key, 'stringValue' in value ? value.stringValue : 'boolValue' in value ? value.boolValue : 'intValue' in value ? Number(value.intValue) : value.doubleValue]));

export const startOtlpReceiver = async (): Promise<OtlpReceiver> => {
  let status = 200;
  const [spans, requests, faults]: [ReceivedSpan[], OtlpReceiver['requests'], string[]] = [[], [], []];
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const bytes = Buffer.concat(chunks);
      const text = (incoming.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString();
      requests.push({ text, headers: incoming.headers });
      const read = request.safeParse(JSON.parse(text));
      const good = incoming.method === 'POST' && incoming.url === '/v1/traces' && incoming.headers['content-type'] === 'application/json' && read.success;
      if (!good) faults.push(read.success ? `${incoming.method} ${incoming.url} ${incoming.headers['content-type']}` : read.error.message);
      if (good && status < 300) {
        for (const { resource, scopeSpans } of read.data.resourceSpans) {
          for (const one of scopeSpans.flatMap((scope) => scope.spans)) {
            spans.push({ ...one, attributes: plain(one.attributes), resource: plain(resource.attributes), from: BigInt(one.startTimeUnixNano), to: BigInt(one.endTimeUnixNano), failed: one.status?.code === 2 });
          }
        }
      }
      response.writeHead(good ? status : 400, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`, spans, requests, faults,
    answer: (next) => { status = next; },
    close: () => new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }),
  };
};
