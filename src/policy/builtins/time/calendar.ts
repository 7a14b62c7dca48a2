/** Days and clocks of the proleptic Gregorian calendar, with whole numbers of any sign. */

export interface CivilTime {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly nanosecond: number;
  /** 0 is Sunday. */
  readonly weekday: number;
  /** 1 is the first of January. */
  readonly yearDay: number;
}

export const isLeap = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);

const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

export const daysIn = (month: number, year: number): number => (month === 2 && isLeap(year) ? 29 : (DAYS[month - 1] ?? 0));

/** Days before the first of a month in a common year; month 13 is the whole year. */
export const daysBefore = (month: number): number => DAYS.slice(0, month - 1).reduce((sum, days) => sum + days, 0);

/** Days from 1970-01-01; months and days out of range carry over. */
export const daysFromCivil = (year: number, month: number, day: number): number => {
  const months = year * 12 + (month - 1);
  const y = Math.floor(months / 12);
  const m = months - y * 12;
  // Years that begin in March put the leap day last.
  const shifted = m < 2 ? y - 1 : y;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * ((m + 10) % 12) + 2) / 5);
  return era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468 + (day - 1);
};

const SECOND_NS = 1_000_000_000n;

export const floorDivide = (value: bigint, by: bigint): bigint => (value >= 0n ? value / by : -((-value + by - 1n) / by));

/** What calendar and clock show `offsetSeconds` east of UTC. */
export const civilTime = (unixNs: bigint, offsetSeconds: number): CivilTime => {
  const seconds = floorDivide(unixNs, SECOND_NS);
  const nanosecond = Number(unixNs - seconds * SECOND_NS);
  const local = Number(seconds) + offsetSeconds;
  const days = Math.floor(local / 86_400);
  const clock = local - days * 86_400;
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor((dayOfEra - Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthIndex = Math.floor((5 * dayOfYear + 2) / 153);
  const month = monthIndex < 10 ? monthIndex + 3 : monthIndex - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const day = dayOfYear - Math.floor((153 * monthIndex + 2) / 5) + 1;
  return {
    year,
    month,
    day,
    hour: Math.floor(clock / 3_600),
    minute: Math.floor((clock % 3_600) / 60),
    second: clock % 60,
    nanosecond,
    weekday: (((days + 4) % 7) + 7) % 7,
    yearDay: daysBefore(month) + day + (month > 2 && isLeap(year) ? 1 : 0),
  };
};

/** Nanoseconds since the epoch of a clock that shows UTC; anything out of range carries over. */
export const unixNsOf = (year: number, month: number, day: number, hour: number, minute: number, second: number, nanosecond: number): bigint =>
  (BigInt(daysFromCivil(year, month, day)) * 86_400n + BigInt(hour * 3_600 + minute * 60 + second)) * SECOND_NS + BigInt(nanosecond);
