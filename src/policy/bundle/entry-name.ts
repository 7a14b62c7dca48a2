/** Which names may stand in a bundle's archive. */
import { BundleRefused, quoted } from './bundle-refused.ts';
import type { BundleLimits } from './limits.ts';

const BUNDLE_FILES: ReadonlySet<string> = new Set(['policy.wasm', '.manifest', '.signatures.json']);

/** Data lies under the path of its folder. */
export const isDataFile = (name: string): boolean => /(?:^|\/)data\.(?:json|ya?ml)$/.test(name);

/**
 * The entry's name, relative and without OPA's leading `/` or tar's `./`. Throws for names that climb, hide or are not a
 * bundle's.
 */
export const entryName = (raw: string, type: 'file' | 'directory', limits: BundleLimits): string => {
  const refuse = (why: string): never => {
    throw new BundleRefused('entry.name', `${quoted(raw)} ${why}`);
  };
  if (raw.length > limits.nameCharsMax) return refuse(`is longer than ${limits.nameCharsMax} characters`);
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f\\\ufffd]/u.test(raw)) return refuse('has a control character, a backslash or bad UTF-8');
  const name = raw.replace(/^\.?\//, '').replace(/\/$/, '');
  if (type === 'directory' && (name === '' || name === '.')) return '.';
  const segments = name.split('/');
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..' || /[. ]$/.test(segment))) return refuse('is not a plain relative path');
  if (/^[A-Za-z]:/.test(name)) return refuse('names a drive');
  if (type === 'directory' || BUNDLE_FILES.has(name) || isDataFile(name) || name.endsWith('.rego')) return name;
  throw new BundleRefused('entry.unexpected', `${quoted(raw)} has no place in a bundle`);
};
