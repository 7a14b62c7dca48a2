/** Offsets of IANA time zones by the data that Node brings, where they agree with Go's. */
import { notServed } from '../../rego/not-served.ts';
import { fail } from '../operands.ts';
import { unixNsOf } from './calendar.ts';
import { ZONE_NAMES } from './zone-names.ts';

export interface Zone {
  /** Seconds east of UTC at an instant, in seconds since the epoch. */
  offsetAt(unixSeconds: number): number;
  /** What a layout's `MST` stands for; only known for UTC. */
  readonly abbreviation: string | undefined;
}

export const UTC: Zone = { offsetAt: () => 0, abbreviation: 'UTC' };

const formats = new Map<string, Intl.DateTimeFormat>();

const formatOf = (name: string): Intl.DateTimeFormat => {
  const known = formats.get(name);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat('en-US', {
    timeZone: name, calendar: 'iso8601', numberingSystem: 'latn', hourCycle: 'h23',
    year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric',
  });
  formats.set(name, made);
  return made;
};

/** Before 1970 the databases differ, after 2037 they compute rules forward. */
const FIRST_SECOND = 0;
const LAST_SECOND = Date.UTC(2038, 0, 1) / 1000;

const offsetIn = (name: string, unixSeconds: number): number => {
  if (!(unixSeconds >= FIRST_SECOND && unixSeconds < LAST_SECOND)) return notServed('time zones before 1970 and after 2037');
  const part = new Map(formatOf(name).formatToParts(unixSeconds * 1000).map(({ type, value }) => [type, Number(value)]));
  const [year, month, day, hour, minute, second] = (['year', 'month', 'day', 'hour', 'minute', 'second'] as const).map((type) => part.get(type) ?? Number.NaN);
  const shown = unixNsOf(year as number, month as number, day as number, hour as number, minute as number, second as number, 0);
  return Number(shown / 1_000_000_000n) - unixSeconds;
};

/** The zone of that name, as OPA finds it. */
export const zoneNamed = (name: string): Zone => {
  if (name === '' || name === 'UTC') return UTC;
  if (name === 'Local') return notServed('the time zone of the machine');
  if (!ZONE_NAMES.has(name)) return fail('no such time zone');
  return { offsetAt: (unixSeconds) => offsetIn(name, unixSeconds), abbreviation: undefined };
};
