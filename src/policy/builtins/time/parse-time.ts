/** Go's `time.Parse` for a process whose local time is UTC; the answer is the instant, which is all that Rego sees. */
import { fail } from '../operands.ts';
import { daysBefore, daysIn, isLeap, unixNsOf } from './calendar.ts';
import { MONTHS, piecesOf, WEEKDAYS, type Element, type Piece } from './layout.ts';

interface Parsed {
  year: number;
  month: number | undefined;
  day: number | undefined;
  yearDay: number | undefined;
  hour: number;
  minute: number;
  second: number;
  nanosecond: number;
  morning: boolean;
  afternoon: boolean;
  offset: number | undefined;
}

const bad = (what: string): never => fail(`time: ${what}`);

/** Blanks in the layout stand for any number of them, none at the end of the value too. */
const skip = (value: string, text: string): string => {
  let rest = value;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === ' ') {
      if (rest !== '' && !rest.startsWith(' ')) return bad('blank expected');
      while (text[at + 1] === ' ') at += 1;
      rest = rest.replace(/^ +/, '');
    } else {
      if (rest[0] !== text[at]) return bad('other text expected');
      rest = rest.slice(1);
    }
  }
  return rest;
};

const zoneLength = (value: string): number => {
  if (/^(?:ChST|MeST)/.test(value)) return 4;
  const signed = (text: string): number => {
    const match = /^[+-](\d+)/.exec(text);
    return match !== null && Number(match[1]) <= 23 ? match[0].length : 0;
  };
  if (value.startsWith('GMT')) return 3 + (value.length > 3 ? signed(value.slice(3)) : 0);
  if (/^[+-]/.test(value)) return value.length < 3 ? 0 : signed(value);
  const upper = /^[A-Z]{0,6}/.exec(value)?.[0] ?? '';
  if (upper.length === 3) return 3;
  if (upper.length === 4 && (upper.endsWith('T') || upper === 'WITA')) return 4;
  return upper.length === 5 && upper.endsWith('T') ? 5 : 0;
};

const OFFSETS: ReadonlyMap<string, RegExp> = new Map([
  ['07:00', /^([+-])(\d\d):(\d\d)/],
  ['07', /^([+-])(\d\d)/],
  ['07:00:00', /^([+-])(\d\d):(\d\d):(\d\d)/],
  ['070000', /^([+-])(\d\d)(\d\d)(\d\d)/],
  ['0700', /^([+-])(\d\d)(\d\d)/],
]);

/** Nine digits count, the rest is cut off. */
const nanoseconds = (digits: string): number => Number(digits.slice(0, 9).padEnd(9, '0'));

export const parseTime = (layout: string, text: string): bigint => {
  const parsed: Parsed = { year: 0, month: undefined, day: undefined, yearDay: undefined, hour: 0, minute: 0, second: 0, nanosecond: 0, morning: false, afternoon: false, offset: undefined };
  const pieces = piecesOf(layout);
  let value = text;
  let known = false;

  const take = (pattern: RegExp): string => {
    const match = pattern.exec(value)?.[0] ?? bad('digits or a name expected');
    value = value.slice(match.length);
    return match;
  };
  const number = (pattern: RegExp, least: number, most: number): number => {
    const found = Number(take(pattern));
    return found >= least && found <= most ? found : bad('out of range');
  };
  const name = (names: readonly string[], length: number): number => {
    const index = names.findIndex((candidate) => value.slice(0, Math.min(length, candidate.length)).toLowerCase() === candidate.slice(0, length).toLowerCase());
    if (index === -1) return bad('name expected');
    value = value.slice(Math.min(length, names[index]?.length ?? 0));
    return index + 1;
  };
  const half = (am: string, pm: string): void => {
    const found = take(/^../s);
    if (found !== am && found !== pm) bad('AM or PM expected');
    if (found === pm) parsed.afternoon = true;
    else parsed.morning = true;
  };
  const second = (pattern: RegExp, next: Piece | undefined): void => {
    parsed.second = number(pattern, 0, 59);
    // A fraction may follow although the layout has none.
    if (next?.kind !== 'fraction' && /^[.,]\d/.test(value)) parsed.nanosecond = nanoseconds(take(/^[.,]\d+/).slice(1));
  };
  const offset = (element: Element): void => {
    if (element.startsWith('Z') && value.startsWith('Z')) {
      value = value.slice(1);
      known = true;
      return;
    }
    const match = OFFSETS.get(element.slice(1))?.exec(value) ?? bad('offset expected');
    value = value.slice(match[0].length);
    const [hours, minutes, seconds] = [Number(match[2]), Number(match[3] ?? 0), Number(match[4] ?? 0)];
    if (hours > 24 || minutes > 60 || seconds > 60) bad('offset out of range');
    const found = (hours * 60 + minutes) * 60 + seconds;
    parsed.offset = match[1] === '-' ? -found : found;
  };
  const zone = (): void => {
    if (value.startsWith('UTC')) {
      value = value.slice(3);
      known = true;
      return;
    }
    const length = value.length < 3 ? 0 : zoneLength(value);
    if (length === 0) bad('time zone expected');
    // A zone without an offset says nothing to a process that lives in UTC, `GMT+3` included.
    value = value.slice(length);
  };
  const readElement = (element: Element, next: Piece | undefined): void => {
    switch (element) {
      case '06': {
        const year = Number(take(/^(?:\d\d|[+-]\d)/));
        parsed.year = year >= 69 ? year + 1900 : year + 2000;
        break;
      }
      case '2006':
        parsed.year = Number(take(/^\d{4}/));
        break;
      case 'January':
        parsed.month = name(MONTHS, 9);
        break;
      case 'Jan':
        parsed.month = name(MONTHS, 3);
        break;
      case '1':
        parsed.month = number(/^\d{1,2}/, 1, 12);
        break;
      case '01':
        parsed.month = number(/^\d\d/, 1, 12);
        break;
      case 'Monday':
        name(WEEKDAYS, 9);
        break;
      case 'Mon':
        name(WEEKDAYS, 3);
        break;
      case '_2':
        if (value.startsWith(' ')) value = value.slice(1);
        parsed.day = Number(take(/^\d{1,2}/));
        break;
      case '2':
        parsed.day = Number(take(/^\d{1,2}/));
        break;
      case '02':
        parsed.day = Number(take(/^\d\d/));
        break;
      case '__2':
        value = value.replace(/^ {1,2}/, '');
        parsed.yearDay = Number(take(/^\d{1,3}/));
        break;
      case '002':
        parsed.yearDay = Number(take(/^\d{3}/));
        break;
      case '15':
        parsed.hour = number(/^\d{1,2}/, 0, 23);
        break;
      case '3':
        parsed.hour = number(/^\d{1,2}/, 0, 12);
        break;
      case '03':
        parsed.hour = number(/^\d\d/, 0, 12);
        break;
      case '4':
        parsed.minute = number(/^\d{1,2}/, 0, 59);
        break;
      case '04':
        parsed.minute = number(/^\d\d/, 0, 59);
        break;
      case '5':
        second(/^\d{1,2}/, next);
        break;
      case '05':
        second(/^\d\d/, next);
        break;
      case 'PM':
        half('AM', 'PM');
        break;
      case 'pm':
        half('am', 'pm');
        break;
      case 'MST':
        zone();
        break;
      default:
        offset(element);
    }
  };

  for (const [index, piece] of pieces.entries()) {
    if (piece.kind === 'text') value = skip(value, piece.text);
    else if (piece.kind === 'element') readElement(piece.element, pieces[index + 1]);
    else if (!piece.trim) {
      const digits = take(new RegExp(`^[.,]\\d{${piece.digits}}`)).slice(1);
      parsed.nanosecond = nanoseconds(digits);
    } else if (/^[.,]\d/.test(value)) parsed.nanosecond = nanoseconds(take(/^[.,]\d+/).slice(1));
  }
  if (value !== '') bad('extra text');
  return instantOf(parsed, known);
};

/** The month and day that a day of the year stands for. */
const monthAndDay = (yearDay: number, year: number): readonly [number, number] => {
  if (isLeap(year) && yearDay === 60) return [2, 29];
  const common = isLeap(year) && yearDay > 60 ? yearDay - 1 : yearDay;
  if (common < 1 || common > 365) return bad('day of the year out of range');
  let month = 12;
  while (daysBefore(month) >= common) month -= 1;
  return [month, common - daysBefore(month)];
};

const instantOf = (parsed: Parsed, known: boolean): bigint => {
  let { month, day, hour } = parsed;
  if (parsed.afternoon && hour < 12) hour += 12;
  else if (parsed.morning && hour === 12) hour = 0;
  if (parsed.yearDay === undefined) {
    month ??= 1;
    day ??= 1;
  } else {
    const [foundMonth, foundDay] = monthAndDay(parsed.yearDay, parsed.year);
    if ((month !== undefined && month !== foundMonth) || (day !== undefined && day !== foundDay)) bad('day of the year does not match');
    month = foundMonth;
    day = foundDay;
  }
  if (day < 1 || day > daysIn(month, parsed.year)) bad('day out of range');
  const utc = unixNsOf(parsed.year, month, day, hour, parsed.minute, parsed.second, parsed.nanosecond);
  // UTC written out wins over an offset; an offset of -1 second counts as none in Go.
  return known || parsed.offset === undefined || parsed.offset === -1 ? utc : utc - BigInt(parsed.offset) * 1_000_000_000n;
};
