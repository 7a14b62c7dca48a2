/** JSON of a bundle: an object, UTF-8, bounded depth, finite numbers. Members such as `__proto__` stay plain data. */
import { isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';
import { BundleRefused, type BundleFault } from './bundle-refused.ts';
import type { BundleLimits } from './limits.ts';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Deepest nesting is at most `left`, and every number is finite (`1e400` parses to Infinity). */
const isTame = (value: JsonValue | undefined, left: number): boolean => {
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return true;
  return left > 0 && Object.values(value).every((inner: JsonValue | undefined) => isTame(inner, left - 1));
};

export const parseJsonObject = (bytes: Uint8Array, fault: BundleFault, file: string, limits: BundleLimits): { readonly value: JsonObject; readonly text: string } => {
  let text: string;
  let value: JsonValue;
  try {
    text = decoder.decode(bytes);
    value = JSON.parse(text) as JsonValue;
  } catch (cause) {
    throw new BundleRefused(fault, `${file} is not JSON in UTF-8`, { cause });
  }
  if (!isJsonObject(value)) throw new BundleRefused(fault, `${file} is not an object`);
  if (!isTame(value, limits.jsonDepthMax)) throw new BundleRefused(fault, `${file} is nested deeper than ${limits.jsonDepthMax} or has a number out of range`);
  return { value, text };
};
