import { performance } from 'node:perf_hooks';
import { expect, test } from 'vitest';
import { every } from '../../src/lifecycle.ts';
import { type LagListener, lagFigures, loopLag } from '../../src/telemetry/loop-lag.ts';

/** Which turn of the event loop this is. */
const turn = () => performance.nodeTiming.uvMetricsInfo.loopCount;

/** Holds the whole process up. */
function busyFor(ms: number): void {
  const from = performance.now();
  while (performance.now() - from < ms);
}

/** What the event loop is found to be late by at the next look. */
function nextLook(then: () => void = () => {}): Promise<number> {
  return new Promise((resolve) => {
    const listener: LagListener = (lagMs) => {
      deaf();
      resolve(lagMs);
      then();
    };
    const deaf = loopLag.listen(listener);
  });
}

test('what a process does again and again is done in one turn where it is due together, whenever each began', async () => {
  const turns = { often: new Set<number>(), seldom: new Set<number>() };
  await new Promise<void>((resolve) => {
    const stopOften = every(20, () => turns.often.add(turn()));
    setTimeout(() => {
      const stopSeldom = every(60, () => {
        turns.seldom.add(turn());
        if (turns.seldom.size < 5) return;
        stopOften();
        stopSeldom();
        resolve();
      });
    }, 7);
  });
  expect([...turns.seldom].filter((one) => !turns.often.has(one))).toEqual([]);
});

test('work that ends other work of the same turn is the last that is done', async () => {
  const done: string[] = [];
  await new Promise<void>((resolve) => {
    const stopFirst = every(20, () => {
      done.push('first');
      stopFirst();
      stopSecond();
      setTimeout(resolve, 50);
    });
    const stopSecond = every(20, () => done.push('second'));
  });
  expect(done).toEqual(['first']);
});

test('a pause of a process that had nothing to do is told, though no look fell into it, and the next one to the millisecond', async () => {
  const read = lagFigures();
  // Right behind a look, so that it is over before the next.
  await nextLook(() => busyFor(400));
  expect(await nextLook()).toBeGreaterThanOrEqual(100);
  expect(read().max).toBeGreaterThanOrEqual(0.1);
  // It is looked at more often now.
  await nextLook(() => busyFor(250));
  expect(await nextLook()).toBeGreaterThanOrEqual(150);
});

test('what is late now is told before the next look', async () => {
  const read = lagFigures();
  await nextLook();
  read();
  busyFor(700);
  expect(read().max).toBeGreaterThanOrEqual(0.15);
});
