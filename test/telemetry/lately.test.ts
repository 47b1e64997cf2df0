import { expect, test } from 'vitest';
import { Lately } from '../../src/telemetry/lately.ts';

test('what was counted is told for as many minutes as are kept, and forgotten then', () => {
  let minute = 1000;
  const lately = new Lately<'came' | 'left'>(3, () => minute * 60_000);
  lately.count('came');
  lately.count('came');
  lately.measure(40);
  minute += 2;
  lately.count('came');
  lately.count('left');
  lately.measure(7);
  expect([lately.total('came'), lately.total('left'), lately.greatest]).toEqual([3, 1, 40]);
  minute += 1;
  expect([lately.total('came'), lately.greatest]).toEqual([1, 7]);
  minute += 1000;
  expect([lately.total('came'), lately.total('left'), lately.greatest]).toEqual([0, 0, 0]);
});
