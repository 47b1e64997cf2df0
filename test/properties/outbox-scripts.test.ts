import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { publish } from '../../src/redis/delivery.ts';
import { type Group, shardOf } from '../../src/redis/keys.ts';
import { runScript } from '../../src/redis/scripts.ts';
import { openRoom, type Room } from './room.ts';

/** A shard for each test. */
let shard = 0;
let room: Room;

beforeAll(async () => {
  room = await openRoom('outbox scripts');
});
afterAll(() => room.close());
beforeEach(() => {
  shard++;
});

function users(count: number): string[] {
  const all = Array.from({ length: 400 }, (_, n) => `user-${n}`).filter((userId) => shardOf(userId) === shard);
  return all.slice(0, count);
}

async function changes(count: number): Promise<string[]> {
  const ids = users(count);
  for (const userId of ids) await room.comes(userId);
  return ids;
}

async function take(group: Group, step: { token?: string; count?: number; done?: string[] } = {}) {
  const { done = [], ...whole } = { token: 'one', count: 100, ...step };
  const taken = (await room.outbox.take(group, new Map([[shard, done]]), whole)).get(shard);
  const entries = taken?.state === 'entries' ? taken.entries : [];
  const of = entries.map((entry) => (entry.kind === 'change' ? entry.change.userId : entry.kind));
  return { state: taken?.state, users: of, ids: entries.map((entry) => entry.id) };
}

const length = () => room.redis.xlen(room.keys.outbox(shard));

test('changes come in the order in which they were made, to each group', async () => {
  const made = await changes(5);
  for (const group of ['deliver', 'record'] as const) {
    const first = await take(group, { count: 3 });
    const second = await take(group, { count: 3, done: first.ids });
    expect([...first.users, ...second.users]).toEqual(made);
    expect(await take(group, { done: second.ids })).toMatchObject({ state: 'empty' });
  }
});

test('one drain at a time: another is busy until the first has found nothing more', async () => {
  await changes(1);
  const { ids } = await take('deliver');
  expect(await take('deliver', { token: 'two' })).toMatchObject({ state: 'busy' });
  expect(await take('record', { token: 'two' })).toMatchObject({ state: 'entries' });
  expect(await take('deliver', { done: ids })).toMatchObject({ state: 'empty' });
  expect(await take('deliver', { token: 'two' })).toMatchObject({ state: 'empty' });
});

test('what a dead drain left unacknowledged comes again and first, whatever is taken at once', async () => {
  const made = await changes(4);
  expect((await take('deliver', { count: 3 })).users).toEqual(made.slice(0, 3));
  await room.outbox.giveBack('deliver', shard, 'one', { asksAnew: false });
  const again: string[] = [];
  let done: string[] = [];
  for (;;) {
    const taken = await take('deliver', { token: 'two', count: 2, done });
    if (taken.state === 'empty') break;
    again.push(...taken.users);
    done = taken.ids;
  }
  expect(again).toEqual(made);
});

test('the outbox keeps what the slower group has not acknowledged, and no more', async () => {
  await changes(4);
  const { ids } = await take('deliver');
  await take('deliver', { done: ids });
  expect(await length()).toBe(4);
  const record = await take('record', { count: 3 });
  const last = await take('record', { done: record.ids });
  expect(await length()).toBe(1);
  await take('record', { done: last.ids });
  expect(await length()).toBe(0);
});

test('a store that came back empty gets its groups again', async () => {
  await changes(1);
  await take('deliver');
  await room.outbox.giveBack('deliver', shard, 'one', { asksAnew: false });
  await room.redis.del(room.keys.outbox(shard));
  const [userId] = users(2).slice(1);
  await room.comes(userId ?? '');
  expect((await take('deliver')).users).toEqual([userId]);
});

test('somebody can tell up to where a shard is delivered, and whether all is recorded', async () => {
  const { keys, redis, outbox } = room;
  const delivered = () => runScript(redis, 'delivered', [keys.outbox(shard)], ['deliver']);
  const backlog = async () =>
    (await runScript(redis, 'backlog', [keys.outbox(shard), keys.unrecorded(shard)], ['record']))[0];
  expect(await delivered()).toEqual(['0-0', '']);
  expect(await backlog()).toBe(0);
  await changes(2);
  const { ids } = await take('deliver');
  expect(await delivered()).toEqual([ids[1], ids[0]]);
  await take('deliver', { done: ids });
  expect(await delivered()).toEqual([ids[1], '']);
  expect(await backlog()).toBe(1);
  const record = await take('record');
  expect(await backlog()).toBe(1);
  await take('record', { done: record.ids });
  expect(await backlog()).toBe(0);
  await redis.sadd(keys.unrecorded(shard), 'somebody');
  expect(await outbox.allRecorded()).toBe(false);
  await outbox.markRecorded(shard, ['somebody']);
  expect(await outbox.unrecorded(shard, 10)).toEqual([]);
});

test('a lease is kept by its holder and taken over from nobody', async () => {
  const { outbox } = room;
  await changes(1);
  await take('deliver');
  expect(await outbox.keepLease('deliver', shard, 'one')).toBe(true);
  expect(await outbox.keepLease('deliver', shard, 'two')).toBe(false);
  await outbox.giveBack('deliver', shard, 'two', { asksAnew: false });
  expect(await take('deliver', { token: 'two' })).toMatchObject({ state: 'busy' });
  expect(await room.redis.pttl(room.keys.lease('deliver', shard))).toBeGreaterThan(0);
});

test('a lease that has ended is not kept, so that what others took meanwhile comes before what is new', async () => {
  const { outbox, keys, redis } = room;
  await changes(1);
  await take('deliver');
  await redis.del(keys.lease('deliver', shard));
  const left = await take('deliver', { token: 'two' });
  await redis.del(keys.lease('deliver', shard));
  expect(await outbox.keepLease('deliver', shard, 'one')).toBe(false);
  await changes(1);
  expect(await take('deliver')).toMatchObject({ ids: left.ids });
});

test('who stays renews a lease only where asked to, and takes one that has lapsed all the same, with the wake-up that nobody is to ask for', async () => {
  const { redis, keys, outbox } = room;
  const names = [keys.lease('deliver', shard), keys.wake('deliver', shard)];
  const lasts = () => Promise.all(names.map((name) => redis.pttl(name)));
  const shorten = () => Promise.all(names.map((name) => redis.pexpire(name, 300)));
  const stay = async (renews: boolean) =>
    (await outbox.take('deliver', new Map([[shard, []]]), { token: 'one', count: 100, stays: true, renews })).get(shard)
      ?.state;
  expect(await stay(true)).toBe('kept');
  await shorten();
  expect(await stay(false)).toBe('kept');
  expect(Math.max(...(await lasts()))).toBeLessThanOrEqual(300);
  expect(await stay(true)).toBe('kept');
  expect(Math.min(...(await lasts()))).toBeGreaterThan(300);
  await redis.del(...names);
  expect(await stay(false)).toBe('kept');
  expect(Math.min(...(await lasts()))).toBeGreaterThan(300);
  expect(await take('deliver', { token: 'two' })).toMatchObject({ state: 'busy' });
  await outbox.giveBack('deliver', shard, 'one', { asksAnew: false });
});

test('beyond its cap the outbox drops the oldest, and notes whose last seen has to be written otherwise', async () => {
  const { redis, keys, leftovers } = room;
  const fill = "for n = 1, 100000 do redis.call('XADD', KEYS[1], '*', 'u', 'u' .. n, 's', '1') end";
  await redis.eval(fill, 1, keys.outbox(shard));
  await take('deliver', { count: 1 });
  await changes(1);
  expect(await length()).toBe(99_901);
  const dropped = await room.outbox.unrecorded(shard, 1000);
  expect(dropped.sort()).toEqual(Array.from({ length: 100 }, (_, n) => `u${n + 1}`).sort());
  expect((await leftovers.find([shard], 10, 'a worker'))?.shards[0]?.unrecorded).toBe(true);
  await room.outbox.giveBack('deliver', shard, 'one', { asksAnew: false });
  expect((await take('deliver', { count: 1 })).users, 'taken before it was dropped').toEqual(['dropped']);
});

test('what is published is numbered without a gap', async () => {
  const { redis, keys } = room;
  for (let n = 0; n < 3; n++) await publish(redis, keys, { shard: n, items: [] });
  const entries = await redis.xrange(keys.delivery, '-', '+');
  expect(entries.map(([, fields]) => [fields[1], JSON.parse(fields[3] ?? '')])).toEqual(
    [0, 1, 2].map((n) => [String(n + 1), { shard: n, items: [] }]),
  );
});
