import { expect, test } from 'vitest';
import { formatLastSeen } from '../../src/client/index.ts';

const now = Date.parse('2026-03-10T12:00:00.000Z');
const before = (ms: number) => new Date(now - ms);
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

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
  expect(formatLastSeen(before(ms), now, 'en')).toBe(text);
});

test('it speaks the language asked for', () => {
  expect(formatLastSeen(before(3 * minute), now, 'de')).toBe('vor 3 Minuten');
});

test('what the server sends, a Date and milliseconds are understood alike', () => {
  const text = '2026-03-10T11:55:00.000Z';
  for (const lastSeen of [text, new Date(text), Date.parse(text)]) {
    expect(formatLastSeen(lastSeen, new Date(now), 'en')).toBe('5 minutes ago');
  }
});

test('a clock that is behind the server shows "now", not the future', () => {
  expect(formatLastSeen(before(-5 * minute), now, 'en')).toBe('now');
});
