import { once } from 'node:events';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { FollowUps } from '../../src/queues/follow-ups.ts';
import { shardOf } from '../../src/redis/keys.ts';
import type { OutboxEntry } from '../../src/redis/outbox-entry.ts';
import { openStores, type Stores } from '../../src/stores.ts';
import { type ScriptRun, scriptRuns } from '../../src/telemetry/script-runs.ts';
import { RoomFollower } from '../../workers/rooms.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';

const log = pino({ level: 'silent' });
const SESSION = { sessionId: 'd1', conn: 'web.1' };
/** Of another shard than those who come to it. */
const ROOM = 'doc:1';

let testStores: TestStores;
let stores: Stores;
let follower: RoomFollower;
const asked: string[] = [];
const note = (run: unknown) => void asked.push((run as ScriptRun).script);

beforeAll(async () => {
  testStores = await openTestStores('room follower');
  const config = readConfig({
    REDIS_URL: testStores.redisUrl,
    ...testStores.redisSentinels,
    REDIS_CLUSTER: `${testStores.redisCluster}`,
    REDIS_PREFIX: testStores.redisPrefix,
    DATABASE_URL: testStores.databaseUrl,
    JWT_SECRET: 'a secret that nobody signs anything with',
  });
  stores = openStores(config, log);
  follower = new RoomFollower(stores, new FollowUps(stores.queues, log), 1000);
  await once(stores.redis, 'ready');
  await stores.pulse.beat();
  // It would notice what a test has Redis lose.
  await stores.pulse.stop();
  scriptRuns.subscribe(note);
});
afterAll(async () => {
  scriptRuns.unsubscribe(note);
  await stores?.close();
  await testStores?.close();
});

async function comes(userId: string): Promise<void> {
  const hello = { ...SESSION, userId, kind: 'web' as const, name: '', state: 'active' as const, claims: null };
  const ages = { beatAgeMs: 0, connectedAgeMs: 0, ttlMs: null, maxSessions: 20, mode: 'connect' as const };
  await stores.store.open({ ...hello, ...ages }, 'new');
}

/** What the outboxes of these shards have for whoever tells. */
async function taken(...shards: number[]): Promise<OutboxEntry[]> {
  const all = await Promise.all(
    shards.map((shard) =>
      stores.outbox.take('deliver', new Map([[shard, []]]), { token: 'test', count: 100, stays: true }),
    ),
  );
  return all.flatMap((one) => [...one.values()]).flatMap((step) => (step.state === 'entries' ? step.entries : []));
}

/** How often lists were written while that was followed. */
async function writesToFollow(entries: readonly OutboxEntry[]): Promise<number> {
  asked.length = 0;
  await follower.follow(entries);
  return asked.filter((script) => script === 'apply-rooms').length;
}

const here = async () => (await stores.roomLists.read(ROOM, '', 100)).members.map(({ userId }) => userId);

test('a list follows what was told of a user where whoever made it did not come to that, and is not written once more where they did', async () => {
  const [ada, bob] = ['ada', 'bob'];
  const shards = [...new Set([ada, bob, ROOM].map(shardOf))];
  for (const userId of [ada, bob]) await comes(userId);
  const [shown, untold] = await Promise.all(
    [ada, bob].map((userId) => stores.userRooms.join({ ...SESSION, userId, roomId: ROOM }, '')),
  );
  expect([shown?.code, untold?.code]).toEqual(['ok', 'ok']);
  await stores.roomLists.apply(shown?.told ? [shown.told] : []);
  expect(await here()).toEqual([ada]);

  const both = await taken(...shards);
  expect(both.flatMap((entry) => (entry.kind === 'room' ? entry.what : []))).toEqual(['joined']);
  const ofAda = both.filter((entry) => !('userId' in entry) || entry.userId === ada);
  expect(await writesToFollow(ofAda)).toBe(0);
  expect(await writesToFollow(both)).toBe(1);
  expect(await here()).toEqual([ada, bob]);

  // What is newer than what the list said it had is not held for shown.
  await stores.userRooms.leave({ ...SESSION, userId: ada, roomId: ROOM });
  const left = await taken(...shards);
  expect(await writesToFollow([...ofAda, ...left.filter(({ kind }) => kind === 'rooms')])).toBe(1);
  expect(await here()).toEqual([bob]);
});

test('who is missing from a node that was just emptied is dropped from rooms only once they have had the time to return', async () => {
  const [roomId, cleo] = ['doc:2', 'cleo'];
  // Of the same shard.
  const dave = Array.from({ length: 200 }, (_, n) => `dave-${n}`).find((id) => shardOf(id) === shardOf(cleo)) ?? '';
  const enters = async (userId: string) => {
    await comes(userId);
    const { told } = await stores.userRooms.join({ ...SESSION, userId, roomId }, '');
    await stores.roomLists.apply(told ? [told] : []);
  };
  for (const userId of [cleo, dave]) await enters(userId);
  const { told: left } = await stores.userRooms.leave({ ...SESSION, userId: 'bob', roomId: ROOM });
  await stores.roomLists.apply(left ? [left] : []);
  const inIt = async () => (await stores.roomLists.read(roomId, '', 100)).members.map(({ userId }) => userId);
  // What their node held is gone, and this process has not looked since.
  const epochKey = stores.keys.epoch(shardOf(cleo));
  const epoch = (await stores.redis.get(epochKey)) ?? '';
  const gone = [cleo, dave].flatMap((userId) => [stores.keys.record(userId), stores.keys.userRooms(userId)]);
  await stores.redis.del(epochKey, ...gone);
  await follower.dropGone(() => true);
  expect(await inIt()).toEqual([cleo, dave]);
  // It looks while they are being compared, and gives everybody time to return.
  await stores.redis.set(epochKey, epoch);
  let looked = 0;
  await follower.dropGone(() => looked++ === 0);
  expect(looked).toBe(2);
  expect(await inIt()).toEqual([cleo, dave]);
  await enters(dave);
  await follower.dropGone(() => true);
  expect(await inIt()).toEqual([dave]);
});

test('who comes to rooms in one moment is asked for and listed together, and each is shown the room with themselves there', async () => {
  const crowd = Array.from({ length: 30 }, (_, n) => `crowd-${n}`);
  for (const userId of crowd) await comes(userId);
  const roomOf = (n: number) => `hall:${n % 25}`;
  asked.length = 0;
  const pictures = await Promise.all(
    crowd.map(async (userId, n) => {
      const { told } = await stores.userRooms.join({ ...SESSION, userId, roomId: roomOf(n) }, `{"n":${n}}`);
      const { picture } = await stores.roomLists.apply(told ? [told] : [], roomOf(n));
      return picture;
    }),
  );
  for (const [n, picture] of pictures.entries()) {
    expect(picture).toMatchObject({ roomId: roomOf(n), unsettled: false });
    expect(picture?.members.find(({ userId }) => userId === crowd[n])?.data).toBe(`{"n":${n}}`);
  }
  if (testStores.redisCluster) return;
  // Those who are shown twenty-five rooms are shown the last five by another call.
  expect(asked.filter((script) => script === 'change-room')).toHaveLength(1);
  expect(asked.filter((script) => script === 'apply-rooms')).toHaveLength(2);
});

test('whoever is asked for together with one that Redis refuses is listed all the same', async () => {
  const [good, bad] = ['good:1', 'bad:1'];
  await stores.redis.set(stores.keys.room('users', bad), 'no list');
  const now = Date.now();
  const told = (userId: string, roomId: string) => ({
    userId,
    sequence: now,
    rooms: new Map([[roomId, { since: now, access: '0', idle: false, data: '' }]]),
  });
  const both = await Promise.allSettled([
    stores.roomLists.apply([told('carl', bad)]),
    stores.roomLists.apply([told('dora', good)], good),
  ]);
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
  expect((await stores.roomLists.read(good, '', 100)).members.map(({ userId }) => userId)).toEqual(['dora']);
});
