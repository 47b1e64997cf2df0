import { expect, test } from 'vitest';
import { type Level, LevelKeeper, levelOf } from '../../src/web/limits/pressure.ts';

test('a lagging event loop or a slow Redis first lengthens the windows, then keeps newcomers out', () => {
  expect(levelOf(10, 2)).toBe(0);
  expect(levelOf(150, 2)).toBe(1);
  expect(levelOf(10, 300)).toBe(1);
  expect(levelOf(600, 2)).toBe(2);
  expect(levelOf(10, 1500)).toBe(2);
});

test('a single pause sheds nothing; pressure that lasts does, and is taken back one step at a time after a while of calm', () => {
  const keeper = new LevelKeeper();
  expect([2, 2, 0, 2, 1].map((called) => keeper.sample(called as Level))).toEqual([0, 0, 0, 0, 0]);
  expect(keeper.sample(2)).toBe(1);
  expect([2, 2].map((called) => keeper.sample(called as Level))).toEqual([1, 1]);
  expect(keeper.sample(2)).toBe(2);
  expect([0, 0, 0].map((called) => keeper.sample(called as Level))).toEqual([2, 2, 2]);
  expect(keeper.sample(0)).toBe(1);
  // A new wave begins the waiting anew.
  expect([0, 0, 0, 1].map((called) => keeper.sample(called as Level))).toEqual([1, 1, 1, 1]);
  expect([0, 0, 0].map((called) => keeper.sample(called as Level))).toEqual([1, 1, 1]);
  expect(keeper.sample(0)).toBe(0);
});
