/** `time.*`. The only time it knows is the decision's. */
import { isRegoNumber, type RegoValue } from '../../rego/value.ts';
import { array, bigInteger, fail, isArray, isInt64, smallInt, string } from '../operands.ts';
import type { Builtins } from '../builtin.ts';
import { civilTime, daysIn, floorDivide, unixNsOf, type CivilTime } from './calendar.ts';
import { parseDuration } from './duration.ts';
import { formatTime } from './format-time.ts';
import { NAMED_LAYOUTS, WEEKDAYS } from './layout.ts';
import { parseTime } from './parse-time.ts';
import { UTC, zoneNamed, type Zone } from './zone.ts';

interface ZonedTime {
  readonly unixNs: bigint;
  readonly zone: Zone;
  readonly layout: string;
}

/** What Go's `UnixNano` holds. */
const instant = (unixNs: bigint): bigint => (isInt64(unixNs) ? unixNs : fail('time outside of valid range'));

/** `ns`, `[ns]`, `[ns, zone]` or `[ns, zone, layout]`. */
const zonedTime = (value: RegoValue | undefined): ZonedTime => {
  if (value !== undefined && isRegoNumber(value)) return { unixNs: instant(bigInteger(value)), zone: UTC, layout: '' };
  const [ns, zone, layout] = isArray(value) ? value : array(value);
  return {
    unixNs: instant(bigInteger(ns)),
    zone: zone === undefined ? UTC : zoneNamed(string(zone)),
    layout: layout === undefined ? '' : string(layout),
  };
};

const offsetOf = ({ unixNs, zone }: Pick<ZonedTime, 'unixNs' | 'zone'>): number => zone.offsetAt(Number(floorDivide(unixNs, 1_000_000_000n)));

const shown = (time: ZonedTime): CivilTime => civilTime(time.unixNs, offsetOf(time));

const layoutNamed = (layout: string): string => NAMED_LAYOUTS.get(layout) ?? layout;

const format = (value: RegoValue | undefined): string => {
  const time = zonedTime(value);
  const layout = layoutNamed(time.layout === '' ? 'RFC3339Nano' : time.layout);
  return formatTime(time.unixNs, offsetOf(time), time.zone.abbreviation, layout);
};

/** Adds in local time and finds the instant again the way Go's `time.Date` does. */
const addDate = (time: ZonedTime, years: number, months: number, days: number): bigint => {
  const { year, month, day, hour, minute, second, nanosecond } = shown(time);
  const sums = [year + years, month + months, day + days];
  if (!sums.every((sum) => Math.abs(sum) < 1e9)) return fail('time outside of valid range');
  const [y, m, d] = sums as [number, number, number];
  const local = unixNsOf(y, m, d, hour, minute, second, nanosecond);
  const guess = offsetOf({ unixNs: local, zone: time.zone });
  if (guess === 0) return instant(local);
  const offset = offsetOf({ unixNs: local - BigInt(guess) * 1_000_000_000n, zone: time.zone });
  return instant(local - BigInt(offset) * 1_000_000_000n);
};

/** Years, months, days, hours, minutes and seconds between two times, as a calendar counts them. */
const diff = (a: ZonedTime, b: ZonedTime): readonly number[] => {
  const [first, last] = a.unixNs > b.unixNs ? [b, a] : [a, b];
  // Both are read in the zone of the first operand.
  const from = shown({ ...first, zone: a.zone });
  const to = shown({ ...last, zone: a.zone });
  let [year, month, day] = [to.year - from.year, to.month - from.month, to.day - from.day];
  let [hour, minute, second] = [to.hour - from.hour, to.minute - from.minute, to.second - from.second];
  if (second < 0) [second, minute] = [second + 60, minute - 1];
  if (minute < 0) [minute, hour] = [minute + 60, hour - 1];
  if (hour < 0) [hour, day] = [hour + 24, day - 1];
  if (day < 0) [day, month] = [day + daysIn(from.month, from.year), month - 1];
  if (month < 0) [month, year] = [month + 12, year - 1];
  return [year, month, day, hour, minute, second];
};

export const timeBuiltins: Builtins = {
  'time.now_ns': (_operands, { now }) => BigInt(now) * 1_000_000n,
  'time.parse_ns': ([layout, text]) => instant(parseTime(layoutNamed(string(layout)), string(text))),
  'time.parse_rfc3339_ns': ([text]) => instant(parseTime('2006-01-02T15:04:05Z07:00', string(text))),
  'time.parse_duration_ns': ([text]) => parseDuration(string(text)),
  'time.format': ([value]) => format(value),
  'time.date': ([value]) => {
    const { year, month, day } = shown(zonedTime(value));
    return [year, month, day];
  },
  'time.clock': ([value]) => {
    const { hour, minute, second } = shown(zonedTime(value));
    return [hour, minute, second];
  },
  'time.weekday': ([value]) => WEEKDAYS[shown(zonedTime(value)).weekday],
  'time.add_date': ([value, years, months, days]) => addDate(zonedTime(value), smallInt(years), smallInt(months), smallInt(days)),
  'time.diff': ([a, b]) => diff(zonedTime(a), zonedTime(b)),
};
