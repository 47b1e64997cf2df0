import { expect, test } from 'vitest';
import { roomsInOrder } from '../../src/web/sockets/in-order.ts';

/** Work that is begun and ended by hand. */
function bench() {
  const begun: string[] = [];
  const ends = new Map<string, (failed?: Error) => void>();
  const work = (name: string) => () =>
    new Promise<string>((resolve, reject) => {
      begun.push(name);
      ends.set(name, (failed) => (failed ? reject(failed) : resolve(name)));
    });
  const end = async (name: string, failed?: Error) => {
    ends.get(name)?.(failed);
    await settled();
  };
  return { begun, work, end };
}

/** Everything that follows from what has been said has begun. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

test('who comes to several rooms comes to all of them at once, in the order in which that was said', async () => {
  const { begun, work } = bench();
  const { beside } = roomsInOrder();
  for (const room of ['a', 'b', 'c']) void beside(room, work(`come ${room}`));
  await settled();
  expect(begun).toEqual(['come a', 'come b', 'come c']);
});

test('what is said of one room is done one after the other, whatever became of the one before', async () => {
  const { begun, work, end } = bench();
  const { beside } = roomsInOrder();
  const refused = beside('a', work('come a'));
  void beside('b', work('come b'));
  void beside('a', work('leave a'));
  await settled();
  expect(begun).toEqual(['come a', 'come b']);
  await end('come b');
  expect(begun).toEqual(['come a', 'come b']);
  const failed = expect(refused).rejects.toThrow('no');
  await end('come a', new Error('no'));
  await failed;
  expect(begun).toEqual(['come a', 'come b', 'leave a']);
});

test('all else waits for what was said before it, and what is said after it waits for it', async () => {
  const { begun, work, end } = bench();
  const { beside, alone } = roomsInOrder();
  void beside('a', work('come a'));
  void beside('b', work('come b'));
  void alone(work('say something in a'));
  void beside('c', work('come c'));
  void alone(work('say something in c'));
  await settled();
  expect(begun).toEqual(['come a', 'come b']);
  await end('come b');
  await end('come a');
  expect(begun.slice(2)).toEqual(['say something in a']);
  await end('say something in a');
  expect(begun.slice(3)).toEqual(['come c']);
  await end('come c');
  expect(begun.slice(4)).toEqual(['say something in c']);
});
