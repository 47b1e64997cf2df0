import { expect, test } from 'vitest';
import { Resync } from '../../src/web/sockets/resync.ts';

const never = (error: unknown) => {
  throw error;
};

test('watchers are told what they missed once all that is true has reached the stores, and not before', async () => {
  const order: string[] = [];
  const answers = [true, true, false];
  const told = new Promise<void>((resolve) => {
    const isEarly = async () => {
      const early = answers.shift() ?? false;
      order.push(early ? 'early' : 'late enough');
      return early;
    };
    const tell = async () => {
      order.push('told');
      resolve();
    };
    new Resync(tell, never, isEarly).in(0);
  });
  await told;
  expect(order).toEqual(['early', 'early', 'late enough', 'told']);
});

test('where nobody can say whether it is early, it is tried again until somebody can', async () => {
  let asked = 0;
  const failures: unknown[] = [];
  await new Promise<void>((resolve) => {
    const isEarly = async () => {
      if (asked++ === 0) throw new Error('Redis is away');
      return false;
    };
    new Resync(
      async () => resolve(),
      (error) => failures.push(error),
      isEarly,
    ).in(0);
  });
  expect(failures).toHaveLength(1);
});
