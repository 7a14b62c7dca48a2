/** Go's `time.Format`. */
import { notServed } from '../../rego/not-served.ts';
import { civilTime, type CivilTime } from './calendar.ts';
import { MONTHS, piecesOf, WEEKDAYS, type Element } from './layout.ts';

const pad = (value: number, width: number, fill = '0'): string => (value < 0 ? `-${String(-value).padStart(width, fill)}` : String(value).padStart(width, fill));

const hour12 = (hour: number): number => (hour % 12 === 0 ? 12 : hour % 12);

const offsetText = (offset: number, element: Element): string => {
  if (offset === 0 && element.startsWith('Z')) return 'Z';
  const minutes = Math.trunc(offset / 60);
  const colon = element.includes(':') ? ':' : '';
  let text = `${minutes < 0 ? '-' : '+'}${pad(Math.trunc(Math.abs(minutes) / 60), 2)}`;
  if (!element.endsWith('07')) text += colon + pad(Math.abs(minutes) % 60, 2);
  if (/0000$|00:00$/.test(element)) text += colon + pad((minutes < 0 ? -offset : offset) % 60, 2);
  return text;
};

const elementText = (element: Element, time: CivilTime, offset: number, zone: string | undefined): string => {
  switch (element) {
    case 'January':
      return MONTHS[time.month - 1] ?? '';
    case 'Jan':
      return (MONTHS[time.month - 1] ?? '').slice(0, 3);
    case 'Monday':
      return WEEKDAYS[time.weekday] ?? '';
    case 'Mon':
      return (WEEKDAYS[time.weekday] ?? '').slice(0, 3);
    case 'MST':
      return zone ?? notServed('abbreviations of time zones');
    case '01':
      return pad(time.month, 2);
    case '1':
      return String(time.month);
    case '02':
      return pad(time.day, 2);
    case '_2':
      return pad(time.day, 2, ' ');
    case '2':
      return String(time.day);
    case '002':
      return pad(time.yearDay, 3);
    case '__2':
      return pad(time.yearDay, 3, ' ');
    case '03':
      return pad(hour12(time.hour), 2);
    case '3':
      return String(hour12(time.hour));
    case '15':
      return pad(time.hour, 2);
    case '04':
      return pad(time.minute, 2);
    case '4':
      return String(time.minute);
    case '05':
      return pad(time.second, 2);
    case '5':
      return String(time.second);
    case '06':
      return pad(Math.abs(time.year) % 100, 2);
    case '2006':
      return pad(time.year, 4);
    case 'PM':
      return time.hour >= 12 ? 'PM' : 'AM';
    case 'pm':
      return time.hour >= 12 ? 'pm' : 'am';
    default:
      return offsetText(offset, element);
  }
};

const fractionText = (nanosecond: number, digits: number, trim: boolean, separator: string): string => {
  if (trim && nanosecond === 0) return '';
  const text = pad(nanosecond, 9).slice(0, digits);
  const kept = trim ? text.replace(/0+$/, '') : text;
  return trim && kept === '' ? '' : separator + kept;
};

/** `zone` is the abbreviation in force; without one a layout that asks for it fails. */
export const formatTime = (unixNs: bigint, offset: number, zone: string | undefined, layout: string): string => {
  const time = civilTime(unixNs, offset);
  return piecesOf(layout)
    .map((piece) => {
      if (piece.kind === 'text') return piece.text;
      return piece.kind === 'element' ? elementText(piece.element, time, offset, zone) : fractionText(time.nanosecond, piece.digits, piece.trim, piece.separator);
    })
    .join('');
};
