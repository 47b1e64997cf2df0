const STEPS: readonly [unit: Intl.RelativeTimeFormatUnit, seconds: number][] = [
  ['year', 31_557_600],
  ['month', 2_629_800],
  ['week', 604_800],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
];

const formats = new Map<string, Intl.RelativeTimeFormat>();

/**
 * "3 minutes ago" in the reader's language; less than a minute is "now", and so is the future, which only a clock that
 * is wrong can produce.
 */
export function formatLastSeen(
  lastSeen: Date | string | number,
  now: Date | number = Date.now(),
  locale?: string,
): string {
  const seconds = Math.max(0, (Number(now) - new Date(lastSeen).getTime()) / 1000);
  const [unit, size] = STEPS.find(([, size]) => seconds >= size) ?? ['second', Number.POSITIVE_INFINITY];
  return format(locale).format(-Math.floor(seconds / size), unit);
}

function format(locale = ''): Intl.RelativeTimeFormat {
  const known = formats.get(locale);
  if (known) return known;
  const made = new Intl.RelativeTimeFormat(locale || undefined, { numeric: 'auto' });
  formats.set(locale, made);
  return made;
}
