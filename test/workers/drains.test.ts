import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { FollowUp } from '../../src/presence/follow-up.ts';
import { shardOf } from '../../src/redis/keys.ts';
import { type Drained, Drains } from '../../workers/drain.ts';
import { openRoom, type Room } from '../properties/room.ts';
import { eventually } from '../support/eventually.ts';
import { manual } from '../support/said.ts';

const EVERY_MS = 20;
let room: Room;
let serial = 0;

beforeAll(async () => {
  room = await openRoom('drains');
});
afterAll(() => room.close());

/** Those of one shard, nobody twice. */
function userOf(shard: number): string {
  for (;;) {
    const userId = `user-${serial++}`;
    if (shardOf(userId) === shard) return userId;
  }
}

/** Drains as a worker has them, run as it runs them: for each wake-up that a script asks for, and never by a sweep. */
function worker({ everyMs = EVERY_MS, longestStayMs = 1000, now = (): number => 0 } = {}) {
  const drains = new Drains(room.outbox, 'deliver', { everyMs, longestStayMs, slotGroupOf: () => 0, now });
  const told: string[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  /** Resolves in the moment in which so many have been told of. */
  const heard = (count: number) => new Promise<void>((resolve) => void waiting.push({ count, resolve }));
  const jobs: Promise<Drained>[] = [];
  const run = (...shards: number[]) => {
    const job = drains.drain(shards, async (taken) => {
      for (const { entries } of taken.values()) {
        for (const entry of entries) if (entry.kind === 'change') told.push(entry.change.userId);
      }
      for (const { count, resolve } of waiting) if (told.length >= count) resolve();
    });
    jobs.push(job);
    return job;
  };
  const follow = ({ wakeDeliver, shard }: FollowUp) => {
    if (wakeDeliver) run(shard);
    return wakeDeliver;
  };
  return { drains, told, heard, jobs, run, follow };
}

test('where one change follows the other, one drain tells them all and nobody asks for another', async () => {
  // It stays for three times as long as this: a busy machine is not to make it leave.
  const { told, heard, jobs, run, follow } = worker({ everyMs: 100 });
  const made = [userOf(3)];
  expect(follow((await room.comes(made[0] ?? '')).followUp)).toBe(true);
  await Promise.all(jobs);
  // So soon after the first: this one stays.
  made.push(userOf(3));
  const second = heard(2);
  follow((await room.comes(made[1] ?? '')).followUp);
  await second;
  for (let n = 0; n < 3; n++) {
    const userId = userOf(3);
    made.push(userId);
    const next = heard(made.length);
    expect(follow((await room.comes(userId)).followUp)).toBe(false);
    await next;
  }
  // A wake-up for another shard is no drain of its own meanwhile.
  const elsewhere = userOf(4);
  made.push(elsewhere);
  await room.comes(elsewhere);
  expect(await run(4)).toEqual({ entries: 0, drained: [] });
  const done = await Promise.all(jobs);
  expect(told).toEqual(made);
  expect(done[1]).toEqual({ entries: made.length - 1, drained: expect.arrayContaining([3, 4]) });
  expect(await room.redis.exists(room.keys.wake('deliver', 3), room.keys.lease('deliver', 3))).toBe(0);
});

test('no change falls between a drain that ends and the wake-up for the next', async () => {
  const { told, jobs, follow } = worker();
  const made: string[] = [];
  // Around the moments at which drains stay no longer: three times what they wait.
  for (let n = 0; n < 60; n++) {
    const userId = userOf(5 + (n % 3));
    made.push(userId);
    follow((await room.comes(userId)).followUp);
    await pause(Math.random() * 5 * EVERY_MS);
  }
  for (let n = 0; n < jobs.length; n++) await jobs[n];
  expect(told.toSorted()).toEqual(made.toSorted());
  expect(jobs.length).toBeLessThan(made.length);
});

test('of a drain that stays and fails nothing is left that keeps another from what it held', async () => {
  const { keys, redis, outbox } = room;
  const drains = new Drains(outbox, 'deliver', {
    everyMs: 300,
    longestStayMs: 5000,
    slotGroupOf: () => 0,
    now: () => 0,
  });
  const shards = [10, 11];
  const [first, second, third] = [userOf(10), userOf(10), userOf(10)];
  await room.comes(first);
  await drains.drain([10], async () => {});
  await room.comes(second);
  let isKept = () => {};
  const kept = new Promise<void>((resolve) => {
    isKept = resolve;
  });
  let isFailing = false;
  const failing = drains.drain(shards, async () => {
    if (isFailing) throw new Error('not told');
    isKept();
  });
  await kept;
  isFailing = true;
  await room.comes(third);
  await expect(failing).rejects.toThrow('not told');
  const names = shards.flatMap((shard) => [keys.wake('deliver', shard), keys.lease('deliver', shard)]);
  expect(await redis.exists(...names)).toBe(0);
  const told: string[] = [];
  await drains.drain(shards, async (taken) => {
    for (const { entries } of taken.values())
      for (const entry of entries) if (entry.kind === 'change') told.push(entry.change.userId);
  });
  expect(told).toEqual([third]);
});

/** Somebody comes again and again, for as long as `work` lasts. */
async function whileTheyCome<T>(shard: number, work: () => Promise<T>): Promise<T> {
  let ended = false;
  const coming = (async () => {
    while (!ended) {
      await room.comes(userOf(shard));
      await pause(EVERY_MS / 2);
    }
  })();
  try {
    return await work();
  } finally {
    ended = true;
    await coming;
  }
}

test('a drain that stays lets go after a while, so that another process has its turn', async () => {
  const { run } = worker({ everyMs: 100 });
  await whileTheyCome(9, async () => {
    await room.comes(userOf(9));
    await run(9);
    // So soon after the first it stays, and would have something again and again for as long as it looked.
    expect((await run(9)).entries).toBeGreaterThan(5);
  });
});

test('a drain that stays lets go where its process stops, and what comes then is drained without staying', async () => {
  const { drains, heard, run } = worker({ everyMs: 100, longestStayMs: 600_000 });
  await whileTheyCome(9, async () => {
    await room.comes(userOf(9));
    await run(9);
    const more = heard(10);
    const staying = run(9);
    await more;
    drains.stop();
    expect((await staying).entries).toBeGreaterThan(5);
    await run(9);
  });
});

test('in a crowd a drain that stays looks less often: each look costs more than what it finds', async () => {
  const drains = new Drains(room.outbox, 'deliver', {
    everyMs: EVERY_MS,
    longestStayMs: 600_000,
    slotGroupOf: () => 0,
    // As where wake-ups come late: it stays, however long the next change takes here.
    now: () => Date.now() + 100_000,
  });
  const crowd = Array.from({ length: 8 }, () => userOf(12));
  for (const userId of crowd) await room.comes(userId);
  const lookedAt: number[] = [];
  const look = async () => {
    lookedAt.push(performance.now());
    if (lookedAt.length >= 8) return;
    const detail = manual({ text: String(lookedAt.length) });
    await Promise.all(crowd.map((userId) => room.store.setDetail(userId, detail, null)));
  };
  await drains.drain([12], async () => {});
  await room.comes(userOf(12));
  await drains.drain([12], look);
  // From the third on it knows of a crowd; a slow machine only makes it later.
  const [from = 0, to = 0] = [lookedAt.at(2), lookedAt.at(-1)];
  expect((to - from) / (lookedAt.length - 3)).toBeGreaterThan(2 * EVERY_MS);
});

test('where wake-ups come late, a drain stays for as long as the last one took, and looks at all shards: else everything waited for one', async () => {
  const time = async () => {
    const [seconds, micros] = await room.redis.time();
    return Number(seconds) * 1000 + Number(micros) / 1000;
  };
  let now = 0;
  const { run, heard } = worker({ now: () => now });
  await room.comes(userOf(10));
  // As it is where the job was run so late.
  now = (await time()) + 100_000;
  await run(10);
  await room.comes(userOf(10));
  const second = heard(2);
  const staying = run(10);
  await second;
  // Ten times as late as a drain that was woken in time would wait for it.
  await pause(10 * 3 * EVERY_MS);
  const third = heard(3);
  expect((await room.comes(userOf(10))).followUp.wakeDeliver).toBe(false);
  await third;
  // Also of a shard that it was not woken for.
  const fourth = heard(4);
  expect((await room.comes(userOf(11))).followUp.wakeDeliver).toBe(false);
  await fourth;
  expect((await staying).drained).toEqual(expect.arrayContaining([10, 11]));
});

test('a late drain leaves a shard to workers of a later version: while it goes on, whoever changes something there wakes them', async () => {
  const { keys, redis, outbox } = room;
  const often = { everyMs: EVERY_MS, longestStayMs: 600_000 };
  const drains = new Drains(outbox, 'deliver', { ...often, slotGroupOf: () => 0, now: () => Date.now() + 100_000 });
  await redis.xadd(keys.outbox(13), '*', 'kind', 'of a later version');
  await room.comes(userOf(10));
  await drains.drain([10], async () => {});
  await room.comes(userOf(10));
  let rounds = 0;
  const staying = drains.drain([10], async () => {
    rounds++;
  });
  const refused = expect(staying).rejects.toThrow('of a later version');
  const wakes = async () => (await room.comes(userOf(13))).followUp.wakeDeliver;
  await whileTheyCome(10, async () => {
    // It has looked at all shards by then.
    await eventually(
      () => rounds,
      (count) => count > 0,
    );
    expect(await wakes()).toBe(true);
    await redis.del(keys.wake('deliver', 13));
    const before = rounds;
    await eventually(
      () => rounds,
      (count) => count > before + 1,
    );
    expect(await wakes()).toBe(true);
    drains.stop();
  });
  await refused;
});
