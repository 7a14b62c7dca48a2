/** Go's time layouts, cut into pieces: what `time.Format` and `time.Parse` share. */

export const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
export const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

/** Elements of a layout, named as they are written in it. */
const ELEMENTS = [
  'January', 'Jan', 'Monday', 'Mon', 'MST', '01', '02', '03', '04', '05', '06', '002', '15', '1', '2006', '2', '_2', '__2', '3', '4', '5', 'PM', 'pm',
  '-070000', '-07:00:00', '-0700', '-07:00', '-07', 'Z070000', 'Z07:00:00', 'Z0700', 'Z07:00', 'Z07',
] as const;

export type Element = (typeof ELEMENTS)[number];

export type Piece =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'element'; readonly element: Element }
  /** `.000` keeps its digits, `.999` drops trailing zeros. */
  | { readonly kind: 'fraction'; readonly digits: number; readonly trim: boolean; readonly separator: string };

/** By the first letter, longest match first, as Go looks for them. */
const CANDIDATES: ReadonlyMap<string, readonly Element[]> = new Map([
  ['J', ['January', 'Jan']],
  ['M', ['Monday', 'Mon', 'MST']],
  ['0', ['01', '02', '03', '04', '05', '06', '002']],
  ['1', ['15', '1']],
  ['2', ['2006', '2']],
  ['_', ['_2', '__2']],
  ['3', ['3']],
  ['4', ['4']],
  ['5', ['5']],
  ['P', ['PM']],
  ['p', ['pm']],
  ['-', ['-070000', '-07:00:00', '-0700', '-07:00', '-07']],
  ['Z', ['Z070000', 'Z07:00:00', 'Z0700', 'Z07:00', 'Z07']],
]);

const elementAt = (layout: string, at: number): Element | undefined =>
  CANDIDATES.get(layout[at] ?? '')?.find((element) => {
    if (!layout.startsWith(element, at)) return false;
    // `Jan` and `Mon` are not the beginning of a longer word; `_2006` is `_` and a year.
    if (element === 'Jan' || element === 'Mon') return !/^[a-z]/.test(layout.slice(at + 3));
    return element !== '_2' || !layout.startsWith('2006', at + 1);
  });

const FRACTION = /[.,](?:0+|9+)(?![0-9])/y;

const fractionAt = (layout: string, at: number): Piece | undefined => {
  FRACTION.lastIndex = at;
  const text = FRACTION.exec(layout)?.[0];
  return text === undefined ? undefined : { kind: 'fraction', digits: text.length - 1, trim: text[1] === '9', separator: text[0] ?? '.' };
};

/** Cuts a layout into its pieces. */
export const piecesOf = (layout: string): readonly Piece[] => {
  const pieces: Piece[] = [];
  let text = '';
  const flush = (): void => {
    if (text !== '') pieces.push({ kind: 'text', text });
    text = '';
  };
  for (let at = 0; at < layout.length; ) {
    const element = elementAt(layout, at);
    const fraction = element === undefined ? fractionAt(layout, at) : undefined;
    if (element !== undefined) {
      flush();
      pieces.push({ kind: 'element', element });
      at += element.length;
    } else if (fraction?.kind === 'fraction') {
      flush();
      pieces.push(fraction);
      at += fraction.digits + 1;
    } else {
      text += layout[at];
      at += 1;
    }
  }
  flush();
  return pieces;
};

/** Layouts that OPA knows by name. */
export const NAMED_LAYOUTS: ReadonlyMap<string, string> = new Map([
  ['ANSIC', 'Mon Jan _2 15:04:05 2006'],
  ['UnixDate', 'Mon Jan _2 15:04:05 MST 2006'],
  ['RubyDate', 'Mon Jan 02 15:04:05 -0700 2006'],
  ['RFC822', '02 Jan 06 15:04 MST'],
  ['RFC822Z', '02 Jan 06 15:04 -0700'],
  ['RFC850', 'Monday, 02-Jan-06 15:04:05 MST'],
  ['RFC1123', 'Mon, 02 Jan 2006 15:04:05 MST'],
  ['RFC1123Z', 'Mon, 02 Jan 2006 15:04:05 -0700'],
  ['RFC3339', '2006-01-02T15:04:05Z07:00'],
  ['RFC3339Nano', '2006-01-02T15:04:05.999999999Z07:00'],
]);
