import { expect, test } from 'vitest';
import { gatherMs } from '../../src/redis/crowds.ts';

const LEAST_MS = 30;

test('who comes one by one, or a few at a time, waits for no crowd', () => {
  for (const count of [0, 1, 5]) expect(gatherMs(count, LEAST_MS, LEAST_MS)).toBe(LEAST_MS);
});

test('in a crowd what is asked is gathered until it is worth a call, and nobody waits longer than that takes', () => {
  // Three hundred and two hundred a second, and then a thousand.
  expect(gatherMs(9, 30, LEAST_MS)).toBeCloseTo(53, 0);
  expect(gatherMs(16, 53, LEAST_MS)).toBeCloseTo(53, 0);
  expect(gatherMs(6, 30, LEAST_MS)).toBe(60);
  expect(gatherMs(30, 30, LEAST_MS)).toBe(LEAST_MS);
});

test('however it comes, it is gathered for no shorter time than before and never for more than sixty milliseconds', () => {
  for (const count of [1, 6, 10, 100, 10_000]) {
    for (const ms of [0, 1, 30, 60, 5000, Number.POSITIVE_INFINITY]) {
      const waited = gatherMs(count, ms, LEAST_MS);
      expect(waited).toBeGreaterThanOrEqual(LEAST_MS);
      expect(waited).toBeLessThanOrEqual(60);
      expect(gatherMs(count, ms, 200)).toBe(200);
    }
  }
});
