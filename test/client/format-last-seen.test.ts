import { afterEach, describe, expect, test, vi } from 'vitest';
import { formatLastSeen } from '../../src/client/index.ts';

const now = Date.parse('2026-03-10T12:00:00.000Z');
const before = (ms: number) => new Date(now - ms);
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

afterEach(() => {
  vi.unstubAllEnvs();
});

test.each([
  [0, 'now'],
  [59_000, 'now'],
  [minute, '1 minute ago'],
  [3 * minute + 59_000, '3 minutes ago'],
  [hour, '1 hour ago'],
  [26 * hour, 'yesterday'],
  [6 * day, '6 days ago'],
  [8 * day, 'last week'],
  [70 * day, '2 months ago'],
  [800 * day, '2 years ago'],
])('%i ms ago reads "%s"', (ms, text) => {
  vi.stubEnv('TZ', 'UTC');
  expect(formatLastSeen(before(ms), now, 'en')).toBe(text);
});

describe("from a day up, the calendar of the reader's zone decides", () => {
  test.each([
    // Twenty-five hours and a half, but two midnights.
    ['2026-03-08T22:45', '2026-03-10T00:15', '2 days ago'],
    ['2026-03-08T23:59', '2026-03-10T00:01', '2 days ago'],
    ['2026-03-09T00:01', '2026-03-10T23:59', 'yesterday'],
    ['2026-03-09T23:30', '2026-03-10T00:30', '1 hour ago'],
    // Six days and a half, but the same weekday.
    ['2026-03-03T20:00', '2026-03-10T08:00', 'last week'],
    // Both in their second week: only one of them in the last.
    ['2026-03-05T12:00', '2026-03-15T12:00', 'last week'],
    ['2026-03-05T12:00', '2026-03-16T12:00', '1 week ago'],
    ['2026-02-24T12:00', '2026-03-10T12:00', '2 weeks ago'],
    // February has 28 days.
    ['2026-02-10T12:00', '2026-03-10T12:00', 'last month'],
    ['2026-02-11T12:00', '2026-03-10T12:00', '3 weeks ago'],
    ['2026-01-31T12:00', '2026-03-01T12:00', '1 month ago'],
    ['2025-12-31T12:00', '2026-02-28T12:00', '1 month ago'],
    ['2025-12-10T12:00', '2026-03-10T12:00', '3 months ago'],
    ['2025-03-11T12:00', '2026-03-10T12:00', '11 months ago'],
    ['2025-03-10T12:00', '2026-03-10T12:00', 'last year'],
    // Thirteen months, but not in the last year.
    ['2024-12-20T12:00', '2026-01-21T12:00', '1 year ago'],
    ['2024-02-29T12:00', '2026-03-10T12:00', '2 years ago'],
  ])('%s is, at %s, "%s"', (lastSeen, now, text) => {
    for (const zone of ['UTC', 'Pacific/Kiritimati', 'America/Los_Angeles', 'Asia/Kolkata']) {
      vi.stubEnv('TZ', zone);
      // Without an offset, these are times of the zone.
      expect(`${zone}: ${formatLastSeen(lastSeen, now, 'en')}`).toBe(`${zone}: ${text}`);
    }
  });

  test('one moment is yesterday here and two days ago there', () => {
    const at = (zone: string) => {
      vi.stubEnv('TZ', zone);
      return formatLastSeen('2026-03-09T09:30:00.000Z', '2026-03-10T10:30:00.000Z', 'en');
    };
    expect([at('UTC'), at('Pacific/Kiritimati')]).toEqual(['yesterday', '2 days ago']);
  });

  test('a day of 25 hours is still the same day', () => {
    vi.stubEnv('TZ', 'Europe/Berlin');
    expect(formatLastSeen('2026-10-25T00:10+02:00', '2026-10-25T23:50+01:00', 'en')).toBe('24 hours ago');
  });
});

describe('languages', () => {
  test.each([
    ['de', 'vor 3 Minuten'],
    ['pt-BR', 'há 3 minutos'],
    ['pt_BR', 'há 3 minutos'],
    ['en_US', '3 minutes ago'],
    ['de_DE.UTF-8', 'vor 3 Minuten'],
    ['de_DE@euro', 'vor 3 Minuten'],
  ])('%s', (locale, text) => {
    expect(formatLastSeen(before(3 * minute), now, locale)).toBe(text);
  });

  test.each([undefined, null, '', 'C', 'POSIX', 'C.UTF-8', 'no such language', '🙂'])(
    '%s is none: it is the reader’s own',
    (locale) => {
      const own = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' }).format(-3, 'minute');
      expect(formatLastSeen(before(3 * minute), now, locale)).toBe(own);
    },
  );

  test('in every language there is a word for each stretch of time, and another for another', () => {
    const stretches = [
      0,
      3 * minute,
      3 * hour,
      day,
      3 * day,
      8 * day,
      16 * day,
      40 * day,
      70 * day,
      400 * day,
      800 * day,
    ];
    const locales =
      'af am ar bg bn ca cs cy da de el en es et eu fa fi fr ga gl he hi hr hu hy id is it ja ka kk km ko lo lt lv mk mn ms mt my nb ne nl pl pt ro ru si sk sl sq sr sv sw ta te th tr uk ur uz vi zh zh-TW zu';
    for (const locale of locales.split(' ')) {
      const texts = stretches.map((ms) => formatLastSeen(before(ms), now, locale));
      expect(new Set(texts).size, `${locale}: ${texts.join(', ')}`).toBe(stretches.length);
    }
  });
});

test('what the server sends, a Date and milliseconds are understood alike', () => {
  const text = '2026-03-10T11:55:00.000Z';
  for (const lastSeen of [text, new Date(text), Date.parse(text)]) {
    expect(formatLastSeen(lastSeen, new Date(now), 'en')).toBe('5 minutes ago');
  }
});

test.each([null, undefined, '', 'never', Number.NaN])('%s, where nobody knows, is no text', (lastSeen) => {
  expect(formatLastSeen(lastSeen, now, 'en')).toBe('');
});

test('a clock that is behind the server shows "now", not the future', () => {
  expect(formatLastSeen(before(-5 * minute), now, 'en')).toBe('now');
});
