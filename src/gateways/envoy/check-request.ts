/** Envoy's CheckRequest in the form that policies see; everything in it is the gateway's or the client's word. */
import type { JsonObject } from '../../domain/json.ts';
import { eachField, messageJson } from '../../grpc/proto/message-json.ts';
import { messageType } from '../../grpc/proto/schema.ts';

/** Header lines as the client sent them, one entry a line (`encode_raw_headers`). */
export type HeaderLines = readonly (readonly [name: string, value: string])[];

export interface AttributePeer {
  readonly address?: { readonly socketAddress?: { readonly address?: string; readonly portValue?: number } };
  readonly principal?: string;
  /** PEM, URL-encoded. */
  readonly certificate?: string;
}

export interface HttpAttributes {
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly scheme?: string;
  /** `HTTP/1.1`, `HTTP/2`, ... */
  readonly protocol?: string;
  readonly size?: number;
  readonly body?: string;
  /** Base64. */
  readonly rawBody?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly headerMap?: HeaderLines;
}

export interface CheckRequest {
  readonly attributes?: {
    readonly source?: AttributePeer;
    readonly destination?: AttributePeer;
    readonly request?: { readonly time?: JsonObject; readonly http?: HttpAttributes };
    readonly contextExtensions?: Readonly<Record<string, string>>;
  };
}

const DELIMITED = 2;
const HEADERS_MAX = 2_000;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

// eslint-disable-next-line no-control-regex
const BEYOND_ASCII = /[^\x00-\x7f]/;

/** UTF-8 where it is that; other bytes one character each, which no check takes for ASCII. */
const headerText = (bytes: Uint8Array): string => {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  if (!BEYOND_ASCII.test(text)) return text;
  try {
    return utf8.decode(bytes);
  } catch {
    return text;
  }
};

const read = messageJson(messageType('envoy.service.auth.v3.CheckRequest'), {
  custom: {
    'envoy.config.core.v3.HeaderMap': (reader, end) => {
      const lines: [string, string][] = [];
      eachField(reader, end, (number, wire) => {
        if (number !== 1 || wire !== DELIMITED) return false;
        let [name, value] = ['', ''];
        const length = reader.uint32();
        eachField(reader, reader.pos + length, (member, memberWire) => {
          if (memberWire !== DELIMITED || member > 3) return false;
          if (member === 1) name = reader.string();
          else if (member === 2) value = reader.string();
          else value = headerText(reader.bytes());
          return true;
        });
        if (lines.length >= HEADERS_MAX) throw new Error('malformed message: too many headers');
        lines.push([name, value]);
        return true;
      });
      return lines;
    },
  },
});

/** `undefined` when the bytes are no CheckRequest. */
export const readCheckRequest = (message: Uint8Array): CheckRequest | undefined => {
  try {
    return read(message);
  } catch {
    return undefined;
  }
};
