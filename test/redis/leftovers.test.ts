import { afterAll, beforeAll, expect, test } from 'vitest';
import { SHARDS, shardOf } from '../../src/redis/keys.ts';
import { openRoom, type Room } from '../properties/room.ts';
import { eventually } from '../support/eventually.ts';

const ALL_SHARDS = Array.from({ length: SHARDS }, (_, n) => n);
const shard = shardOf('anna');
/** Others of the same shard. */
const users = Array.from({ length: 200 }, (_, n) => `user-${n}`).filter((id) => shardOf(id) === shard);
const TOLD = { wakeDeliver: false, wakeRecord: false };

let room: Room;
beforeAll(async () => {
  room = await openRoom('leftovers');
});
afterAll(() => room?.close());

const sweep = async () => {
  const found = await room.leftovers.find(ALL_SHARDS, 10, 'a worker');
  if (found === null) throw new Error('another worker sweeps');
  return { ...found, ...found.shards[shard] };
};
/** Somebody comes, and what has to be woken for it is lost. */
const somebodyComes = async () => {
  await room.comes(users.pop() ?? '');
  await room.redis.del(room.keys.wake('deliver', shard), room.keys.wake('record', shard));
};
/** What drains do for both groups: all that is there, to its end. */
async function drainAll() {
  for (const group of ['deliver', 'record'] as const) {
    let done: string[] = [];
    for (;;) {
      const asked = new Map([[shard, done]]);
      const taken = (await room.outbox.take(group, asked, { token: group, count: 100 })).get(shard);
      if (taken?.state !== 'entries') break;
      done = taken.entries.map(({ id }) => id);
    }
  }
}

test('what comes into an outbox that was drained to its end is found by the next sweep', async () => {
  for (let times = 0; times < 3; times++) {
    await somebodyComes();
    expect(await sweep()).toMatchObject({ wakeDeliver: true, wakeRecord: true, moved: true });
    await drainAll();
    expect(await sweep()).toMatchObject({ ...TOLD, moved: true });
    expect(await sweep()).toMatchObject({ ...TOLD, moved: false });
  }
});

test('what came and was drained between two sweeps leaves nothing to do', async () => {
  await somebodyComes();
  await drainAll();
  expect(await sweep()).toMatchObject(TOLD);
});

test('what a dead drain has left is found by every sweep, however long ago it came', async () => {
  await somebodyComes();
  await room.outbox.take('record', new Map([[shard, []]]), { token: 'dead', count: 100 });
  await room.redis.del(room.keys.lease('record', shard));
  for (let times = 0; times < 3; times++) {
    await room.redis.del(room.keys.wake('record', shard));
    expect(await sweep()).toMatchObject({ wakeRecord: true, moved: true });
  }
  await drainAll();
});

test('a group that is further back than it was, as of a replica that took over, is found at once by whoever heard of it, and in any case before long', async () => {
  await drainAll();
  await sweep();
  await room.redis.xgroup('SETID', room.keys.outbox(shard), 'deliver', '0');
  room.leftovers.forget();
  expect(await sweep()).toMatchObject({ wakeDeliver: true, wakeRecord: false });
  await somebodyComes();
  await drainAll();
  await sweep();
  await room.redis.xgroup('SETID', room.keys.outbox(shard), 'record', '0');
  await eventually(sweep, ({ wakeRecord }) => wakeRecord === true, 2000);
});

test('a sweep says when somebody will be overdue, that nobody is there, or that expiry is held', async () => {
  expect(await sweep()).toMatchObject({ nextInMs: expect.any(Number), held: false });
  await room.redis.set(room.keys.hold(0), 'all', 'PX', 10_000);
  expect(await sweep()).toMatchObject({ nextInMs: null, held: true });
  await room.redis.del(room.keys.hold(0));
  await room.redis.del(ALL_SHARDS.map((each) => room.keys.due(each)));
  expect(await sweep()).toMatchObject({ nextInMs: null, held: false });
});
