import { afterEach, expect, test, vi } from 'vitest';
import { Backoff } from '../../workers/backoff.ts';

afterEach(() => {
  vi.useRealTimers();
});

test('what fails again and again is tried after a second, and then ever more seldom, but never later than after sixteen', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const backoff = new Backoff();
  const waits: number[] = [];
  for (let n = 0; n < 7; n++) {
    expect(backoff.isWaiting).toBe(false);
    backoff.failed();
    let seconds = 0;
    for (; backoff.isWaiting; seconds++) vi.advanceTimersByTime(1000);
    waits.push(seconds);
  }
  expect(waits).toEqual([1, 2, 4, 8, 16, 16, 16]);
});

test('what has become something else is tried at once', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const backoff = new Backoff();
  for (let n = 0; n < 5; n++) backoff.failed();
  expect(backoff.isWaiting).toBe(true);
  backoff.reset();
  expect(backoff.isWaiting).toBe(false);
  backoff.failed();
  vi.advanceTimersByTime(1000);
  expect(backoff.isWaiting).toBe(false);
});
