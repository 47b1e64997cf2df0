import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Arm } from '../../src/presence/follow-up.ts';
import { OwnQueues } from './own-queues.ts';

let own: OwnQueues;
beforeEach(async () => {
  own = await OwnQueues.open();
});
afterEach(() => own?.close());

const closed = (userId: string, delayMs = 0): Arm => ({ kind: 'once', why: 'closed', userId, delayMs });
const enqueue = (...arms: Arm[]) => own.queues.enqueue({ shard: 3, wakeDeliver: false, wakeRecord: false, arms });
const jobs = async () => {
  const all = await own.queues.queue('timeouts').getJobs(['wait', 'delayed'], 0, -1, true);
  return all.map(({ name, data }) => ({ name, of: data.userIds ?? data.userId }));
};

test('whose last sessions close in one moment are named by one job, and by no more than a hundred', async () => {
  const userIds = Array.from({ length: 230 }, (_, n) => `user-${n}`);
  await enqueue(...userIds.map((userId) => closed(userId)));
  const named = await jobs();
  expect(named.map(({ name, of }) => [name, of.length])).toEqual([
    ['closed', 100],
    ['closed', 100],
    ['closed', 30],
  ]);
  expect(named.flatMap(({ of }) => of)).toEqual(userIds);
});

test('one alone, and a deadline to come, have a job of their own', async () => {
  await enqueue(closed('ann'), closed('bob', 3_600_000), { kind: 'check', userId: 'cy', number: '1', delayMs: 60_000 });
  expect((await jobs()).sort((a, b) => (a.of < b.of ? -1 : 1))).toEqual([
    { name: 'closed', of: 'ann' },
    { name: 'closed', of: 'bob' },
    { name: 'check', of: 'cy' },
  ]);
});

test('a job that names an erased user goes with them, and one that does not stays', async () => {
  await enqueue(closed('ann'), closed('bob'));
  await enqueue(closed('ann.b'), closed('cy'));
  await own.queues.removeJobs('ann', { keepTimeouts: false });
  expect(await jobs()).toEqual([{ name: 'closed', of: ['ann.b', 'cy'] }]);
});
