import { expect, test } from 'vitest';
import { retryAfterMs } from '../../workers/retry-after.ts';

const NOW = Date.UTC(2030, 0, 1, 12);
const date = (ms: number) => new Date(NOW + ms).toUTCString();

test.each([
  ['0', 0],
  ['120', 120_000],
  [' 7 ', 7000],
  ['1.5', 1500],
  ['0.0001', 1],
  ['2.', 2000],
  ['+3', 3000],
  ['-1', 0],
  ['-0.5', 0],
  ['9'.repeat(400), Number.POSITIVE_INFINITY],
  [date(90_000), 90_000],
  [date(-5000), 0],
  ['Tuesday, 01-Jan-30 12:01:00 GMT', 60_000],
  ['Tue Jan  1 12:01:00 2030', 60_000],
])('%j means to wait for %i ms', (header, ms) => {
  expect(retryAfterMs(header, NOW)).toBe(ms);
});

test.each([
  [undefined],
  [null],
  [''],
  ['soon'],
  ['1e3'],
  ['1,5'],
  ['5, 10'],
  ['2030-01-01'],
  ['12:00'],
  ['NaN'],
  ['0x10'],
])('%j says nothing', (header) => {
  expect(retryAfterMs(header, NOW)).toBeNull();
});
