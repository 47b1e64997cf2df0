import { Queue } from 'bullmq';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/deployment.ts';
import {
  friendsLists,
  heardSince,
  type JudgedCase,
  judgeHeard,
  judgeLeaving,
  pictures,
  remember,
  typing,
} from './judging.ts';
import { TARGETS, VIEWERS } from './rules.ts';
import { World } from './world.ts';

/** The matrix once more, for a Redis or a PostgreSQL that has forgotten, or an id that comes back. */
let world: World;
beforeAll(async () => {
  world = await World.start('forgetful');
}, 120_000);
afterAll(() => world?.stop());

const IDS = TARGETS.map(({ userId }) => userId);
let said = 0;

/** What decides who may see the targets is gone, as if evicted. */
async function loseKeys(): Promise<void> {
  for (const userId of IDS) await world.rollcall.redis.del(world.rollcall.key(`user:privacy:${userId}`));
}

/** The records do not say by which privacy they go, as those that a version before this one left behind. */
async function loseMarks(): Promise<void> {
  for (const userId of IDS) await world.rollcall.redis.hdel(world.rollcall.key(`user:sessions:${userId}`), 'r');
}

/** Both as a version before this one had it: a text, and two sets. */
async function leaveOldKind(): Promise<void> {
  const { redis, db } = world.rollcall;
  const key = (kind: string, userId: string) => world.rollcall.key(`user:${kind}:${userId}`);
  for (const { userId, visibility, lastSeenVisibility } of TARGETS) {
    const friends = await db('friendships').where({ user_id: userId }).pluck('friend_id');
    const blocked = await db('blocks').where({ user_id: userId }).pluck('blocked_id');
    const blocking = await db('blocks').where({ blocked_id: userId }).pluck('user_id');
    const settings = [visibility, lastSeenVisibility];
    await redis.set(key('privacy', userId), `7|${settings.map((setting) => setting[0]).join('|')}`);
    await redis.del(key('friends', userId));
    if (settings.includes('friends')) await redis.sadd(key('friends', userId), ...friends);
    await redis.sadd(key('blocks', userId), ...blocked, ...blocking);
  }
  await loseMarks();
}

/** Whoever is shown a state, a detail or a last seen is told of a new detail; nobody else is. */
async function detailIsToldRight(before: () => Promise<unknown>): Promise<void> {
  const heard = heardSince(remember(world));
  const text = `again ${++said}`;
  await world.say(text, before);
  judgeHeard(world, heard, (told, each: JudgedCase, name) => {
    expect(
      told.map(({ detail }) => detail?.text),
      name,
    ).toContain(text);
    for (const change of told) expect(change.lastSeen === null, name).toBe(each.sees !== 'all');
  });
  await world.say('here', before);
}

/** By all doors and in all events each viewer is told of the targets, who are here, what the rules say, and then they leave. */
async function everythingIsRight(before: () => Promise<unknown>): Promise<void> {
  await pictures(world, 'active', before);
  await detailIsToldRight(before);
  await friendsLists(world, before);
  await typing(world, before);
  const heard = heardSince(remember(world));
  await world.leave(before);
  judgeHeard(world, heard, judgeLeaving);
  await pictures(world, 'inactive', before);
}

describe.each([
  { what: 'has lost who may see a user', before: loseKeys },
  { what: 'does not say by which privacy its records go', before: loseMarks },
  {
    what: 'has lost both, as when a version before this one was never told of any',
    before: () => Promise.all([loseKeys(), loseMarks()]),
  },
  { what: 'has all of it as a version before this one left it', before: leaveOldKind },
])('where Redis $what', ({ before }) => {
  test('who arrives is told to those who may see it, and to nobody else', async () => {
    await before();
    const heard = heardSince(remember(world));
    await world.arrive();
    judgeHeard(world, heard, (told, each, name) => {
      expect(told[0], name).toMatchObject({ status: 'active' });
      for (const change of told) expect(change.lastSeen === null, name).toBe(each.sees !== 'all');
    });
  });

  test('every door, every event and every list tells each viewer what they may know', async () => {
    await everythingIsRight(before);
  });

  test('what was lost is there again a moment later, without anybody changing anything', async () => {
    await before();
    await world.arrive();
    for (const { userId, visibility, lastSeenVisibility, lastSeenPrecision } of TARGETS) {
      const letter = lastSeenVisibility[0];
      const lastSeen = lastSeenPrecision === 'coarse' ? letter?.toUpperCase() : letter;
      const { redis } = world.rollcall;
      const [privacy, record] = ['privacy', 'sessions'].map((kind) => world.rollcall.key(`user:${kind}:${userId}`));
      await eventually(
        async () => [await redis.hmget(privacy ?? '', 'v', 'l', 'r'), await redis.hget(record ?? '', 'r')].flat(),
        ([v, l, revision, mark]) => v === visibility[0] && l === lastSeen && revision !== null && revision === mark,
        15_000,
      );
    }
    await world.leave();
  });
});

test('of those who are away, and of whom Redis has lost all there was, every door shows what each viewer may know', async () => {
  await world.arrive();
  await world.leave();
  const { redis } = world.rollcall;
  const loseAll = async () => {
    await loseKeys();
    for (const key of await redis.keys(`${world.rollcall.prefix}users:restricted*`)) await redis.del(key);
    for (const userId of IDS) {
      for (const kind of ['sessions', 'last_seen']) await redis.del(world.rollcall.key(`user:${kind}:${userId}`));
    }
  };
  await pictures(world, 'inactive', loseAll);
});

/** All that PostgreSQL knows of the targets, as a backup would have it; returns what puts it back. */
async function backup(): Promise<() => Promise<void>> {
  const { db } = world.rollcall;
  const tables = ['users', 'user_settings', 'friendships', 'blocks', 'privacy_changes', 'conversation_members'];
  const rows = new Map<string, object[]>();
  for (const table of tables) rows.set(table, await db(table).select());
  return async () => {
    await db.transaction(async (within) => {
      for (const table of tables) {
        await within(table).delete();
        const before = rows.get(table) ?? [];
        if (before.length > 0) await within(table).insert(before);
      }
    });
  };
}

/** Everybody allows everything to everybody, so that what was allowed before is stricter and older. */
async function openToAll(): Promise<void> {
  for (const { userId } of TARGETS) {
    const { blocks } = (await world.call('GET', `/users/${userId}/blocks`)) as { blocks: { userId: string }[] };
    for (const other of blocks) await world.call('DELETE', `/users/${userId}/blocks/${other.userId}`);
    for (const viewer of VIEWERS) await world.call('DELETE', `/users/${viewer.userId}/blocks/${userId}`);
    await world.call('PUT', `/users/${userId}/settings`, { visibility: 'nobody' });
    await world.call('PUT', `/users/${userId}/settings`, { visibility: 'everyone', lastSeenVisibility: 'everyone' });
  }
}

describe('where PostgreSQL was restored to what it was before Redis heard of later changes', () => {
  const restored = async () => {
    const restore = await backup();
    await openToAll();
    await restore();
  };

  test('whatever is chosen from then on holds, by every door and in every event, also where PostgreSQL says it already', async () => {
    await restored();
    await world.befriendAndBlock();
    await world.arrive();
    await everythingIsRight(async () => {});
  });

  test('what PostgreSQL says holds, by every door and in every event, once the two have been compared', async () => {
    await restored();
    await compare();
    await world.arrive();
    await everythingIsRight(async () => {});
  });
});

test('whoever was erased while their settings changed, and comes back, is seen by those alone to whom they allow it', async () => {
  await world.arrive();
  for (const [n, userId] of IDS.entries()) {
    const changes = Array.from({ length: 6 }, async (_, round) => {
      await new Promise((resolve) => setTimeout(resolve, n + round * 8));
      await world.call('PUT', `/users/${userId}/settings`, { visibility: round % 2 ? 'friends' : 'nobody' });
    });
    await Promise.all([world.call('DELETE', `/users/${userId}`), ...changes]);
  }
  for (const client of world.targets.values()) client.leave();
  await world.befriendAndBlock();
  await world.arrive();
  await everythingIsRight(async () => {});
});

/** The comparison that maintenance makes from time to time, now. */
async function compare(): Promise<void> {
  const { rollcall } = world;
  const queue = new Queue('maintenance', { connection: rollcall.redis, prefix: rollcall.queuePrefix('maintenance') });
  const job = await queue.add('compare-privacy', {}, { removeOnComplete: false });
  await eventually(
    () => job.getState(),
    (state) => state === 'completed' || state === 'failed',
    20_000,
  );
  expect(await job.getState()).toBe('completed');
  await queue.close();
}
