import { expect, test } from 'vitest';
import { fitLine, isFlat } from '../../scripts/fit-line.ts';

/** A point a second for five minutes; `noise` goes up and down without a trend. */
const points = (start: number, perSecond: number, noise = 0) =>
  Array.from({ length: 300 }, (_, x) => ({ x, y: start + perSecond * x + noise * Math.sin(x * 7) }));

test('a line is found in what is measured', () => {
  const line = fitLine(points(100, 0.5, 3));
  expect(line.slope).toBeCloseTo(0.5, 1);
  expect(line.growth).toBeCloseTo(150, -1);
});

test('what grows steadily is not flat, however loud it is; what goes up and down is, and so is what shrinks', () => {
  expect(isFlat(fitLine(points(100, 0.2, 20)), 8)).toBe(false);
  expect(isFlat(fitLine(points(100, 0, 20)), 8)).toBe(true);
  expect(isFlat(fitLine(points(100, -0.2, 20)), 8)).toBe(true);
});

test('a growth that is small beside the whole, or below what is called noise, is flat', () => {
  expect(isFlat(fitLine(points(1000, 0.1)), 8)).toBe(true);
  expect(isFlat(fitLine(points(10, 0.02)), 8)).toBe(true);
  expect(isFlat(fitLine(points(10, 0.02)), 2)).toBe(false);
});
