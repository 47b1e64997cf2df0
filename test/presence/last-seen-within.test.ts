import { expect, test } from 'vitest';
import { within } from '../../src/presence/last-seen-within.ts';

const at = (iso: string) => Date.parse(iso);
const NOON = at('2026-03-31T12:00:00.000Z');

test.each([
  ['2026-03-31T12:00:00.000Z', 'day'],
  ['2026-03-31T12:00:01.000Z', 'day'],
  ['2026-03-30T00:00:00.000Z', 'day'],
  ['2026-03-29T23:59:59.999Z', 'week'],
  ['2026-03-24T00:00:00.000Z', 'week'],
  ['2026-03-23T23:59:59.999Z', 'month'],
  ['2026-03-01T00:00:00.000Z', 'month'],
  ['2026-02-28T23:59:59.999Z', 'long_ago'],
  ['2020-01-01T00:00:00.000Z', 'long_ago'],
] as const)('who was seen at %s was seen within a %s', (lastSeen, expected) => {
  expect(within(at(lastSeen), NOON)).toBe(expected);
});

test('how long ago somebody was seen becomes another at midnight (UTC) and at no other time', () => {
  const HOUR = 3_600_000;
  for (let lastSeen = NOON - 40 * 24 * HOUR; lastSeen <= NOON; lastSeen += 7 * HOUR) {
    for (let day = at('2026-03-31T00:00:00.000Z'); day < at('2026-04-03T00:00:00.000Z'); day += 24 * HOUR) {
      const said = [0, 1, 11 * HOUR, 24 * HOUR - 1].map((passed) => within(lastSeen, day + passed));
      expect(new Set(said).size).toBe(1);
    }
  }
});
