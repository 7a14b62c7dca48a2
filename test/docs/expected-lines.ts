/** What a shell block says that it prints: lines that begin with `#>`; `...` in them stands for anything. */

/** The script, with a mark behind each run of `#>` lines, and what is expected before each mark. */
export const withMarks = (text: string, mark: string): { readonly script: string; readonly expected: readonly (readonly string[])[] } => {
  const script: string[] = [];
  const expected: string[][] = [];
  let before = false;
  for (const line of text.split('\n')) {
    const wanted = /^#>\s?(.*)$/.exec(line);
    if (wanted === null) script.push(line);
    else {
      if (!before) {
        expected.push([]);
        script.push(`printf '\\n%s\\n' '${mark}'`);
      }
      expected[expected.length - 1]?.push((wanted[1] ?? '').trim());
    }
    before = wanted !== null;
  }
  return { script: script.join('\n'), expected };
};

const patternOf = (line: string): RegExp => new RegExp(`^${line.split('...').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)).join('.*')}$`);

/** The first expected line that the output lacks. */
export const missingLine = (output: string, expected: readonly string[]): string | undefined => {
  const lines = output.split('\n').map((line) => line.trim());
  let from = 0;
  for (const wanted of expected) {
    const pattern = patternOf(wanted);
    const at = lines.findIndex((line, index) => index >= from && pattern.test(line));
    if (at === -1) return wanted;
    from = at + 1;
  }
  return undefined;
};
