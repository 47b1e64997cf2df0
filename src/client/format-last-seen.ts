const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

type Unit = Intl.RelativeTimeFormatUnit;

const formats: Record<string, Intl.RelativeTimeFormat> = {};

/**
 * "3 minutes ago" in the reader's language. Below a day it counts hours and minutes, from a day up by the calendar of the
 * reader's time zone: "yesterday" is the day before today, "last month" the month before this one. Less than a minute is
 * "now", and so is the future, which only a clock that is wrong can produce.
 *
 * @param lastSeen What the server sends, a `Date` or milliseconds since 1970. Where it is none, the text is empty.
 * @param now A `Date` or milliseconds since 1970; the client's `now()` is the server's time. Default: the device's.
 * @param locale As `Intl` or an operating system writes it (`pt-BR`, `pt_BR`). Default, and where it is none: the reader's.
 */
export function formatLastSeen(
  lastSeen: Date | string | number | null | undefined,
  now?: Date | string | number | null,
  locale?: string | null,
): string {
  const then = new Date(lastSeen ?? Number.NaN);
  const today = new Date(now ?? Date.now());
  const agoMs = Math.max(0, today.getTime() - then.getTime());
  if (Number.isNaN(agoMs)) return '';
  const say = (count: number, unit: Unit, inCalendar = count) =>
    format(locale, count === inCalendar ? 'auto' : 'always').format(-count, unit);
  if (agoMs < MINUTE_MS) return say(0, 'second');
  if (agoMs < HOUR_MS) return say(Math.floor(agoMs / MINUTE_MS), 'minute');
  const days = dayOf(today) - dayOf(then);
  // A day may have 25 hours.
  if (agoMs < DAY_MS || days < 1) return say(Math.floor(agoMs / HOUR_MS), 'hour');
  const years = today.getFullYear() - then.getFullYear();
  const months = 12 * years + today.getMonth() - then.getMonth();
  const wholeMonths = months - (today.getDate() < then.getDate() ? 1 : 0);
  if (wholeMonths >= 12) return say(Math.floor(wholeMonths / 12), 'year', years);
  if (wholeMonths >= 1) return say(wholeMonths, 'month', months);
  if (days >= 7) return say(Math.floor(days / 7), 'week', weekOf(today) - weekOf(then));
  return say(days, 'day');
}

/** Counts the days of the reader's calendar. */
function dayOf(time: Date): number {
  return Date.UTC(time.getFullYear(), time.getMonth(), time.getDate()) / DAY_MS;
}

/** The first day of 1970 was a Thursday; weeks begin on Mondays. */
function weekOf(time: Date): number {
  return Math.floor((dayOf(time) + 3) / 7);
}

function format(locale: string | null | undefined, numeric: 'auto' | 'always'): Intl.RelativeTimeFormat {
  const key = `${locale}${numeric}`;
  formats[key] ??= make(locale?.replace(/[.@].*/, '').replaceAll('_', '-') || undefined, numeric);
  return formats[key];
}

/** What is no locale throws; and where the system's own language is "C", so may the default. */
function make(locale: string | undefined, numeric: 'auto' | 'always'): Intl.RelativeTimeFormat {
  try {
    return new Intl.RelativeTimeFormat(locale, { numeric });
  } catch {
    return make(locale ? undefined : 'en', numeric);
  }
}
