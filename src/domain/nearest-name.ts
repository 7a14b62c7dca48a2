/** The known name that a mistyped one most likely means, or `undefined` when none is near. */
const distance = (a: string, b: string): number => {
  let before = Array.from({ length: b.length + 1 }, (_, index) => index);
  let twoBefore: number[] = [];
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min((row[j - 1] ?? 0) + 1, (before[j] ?? 0) + 1, (before[j - 1] ?? 0) + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) best = Math.min(best, (twoBefore[j - 2] ?? 0) + 1);
      row.push(best);
    }
    twoBefore = before;
    before = row;
  }
  return before[b.length] ?? 0;
};

const plain = (name: string): string => name.toLowerCase().replaceAll(/[-_]/g, '');
const CHARS_MAX = 128;
const BEGUN_CHARS_MIN = 3;

export const nearestName = (name: string, known: Iterable<string>): string | undefined => {
  if (name.length > CHARS_MAX) return undefined;
  let best: { readonly name: string; readonly far: number } | undefined;
  for (const candidate of known) {
    // `ttl` for `ttlMs`: what is only begun is as near as one slip of the finger.
    const begun = plain(name).length >= BEGUN_CHARS_MIN && plain(candidate).startsWith(plain(name));
    const far = begun ? 1 : distance(plain(name), plain(candidate));
    if (far <= Math.max(1, Math.floor(candidate.length / 3)) && (best === undefined || far < best.far)) best = { name: candidate, far };
  }
  return best?.name;
};
