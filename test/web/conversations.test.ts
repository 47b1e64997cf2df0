import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { createLogger } from '../../src/log.ts';
import { connectPostgres } from '../../src/postgres/connect.ts';
import { addMember, removeMember } from '../../src/postgres/conversations.ts';
import { eraseUser } from '../../src/postgres/erasure.ts';
import { shardOf } from '../../src/redis/keys.ts';
import { openStores, type Stores } from '../../src/stores.ts';
import { Conversations } from '../../src/usecases/conversations.ts';
import { Presence } from '../../src/usecases/presence.ts';
import { compareMemberships, MembershipKeeper } from '../../workers/memberships.ts';
import { eventually } from '../support/deployment.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';

let testStores: TestStores;
let stores: Stores;
let presence: Presence;
let conversations: Conversations;
let keeper: MembershipKeeper;
let serial = 0;
let team = '';

const configOf = ({
  redisUrl,
  redisPrefix,
  databaseUrl,
}: Pick<TestStores, 'redisUrl' | 'redisPrefix' | 'databaseUrl'>) =>
  readConfig({
    JWT_SECRET: 'not the one that signs: nobody comes by the door here',
    REDIS_URL: redisUrl,
    REDIS_PREFIX: redisPrefix,
    DATABASE_URL: databaseUrl,
    LOG_LEVEL: 'fatal',
  });

beforeAll(async () => {
  testStores = await openTestStores('conversations');
});
beforeEach(async () => {
  const config = configOf(testStores);
  const log = createLogger(config, 'web');
  stores = openStores(config, log);
  await eventually(
    () => stores.pulse.alive,
    (alive) => alive,
  );
  presence = new Presence(stores, config.ttlMs, log);
  conversations = new Conversations(stores, presence);
  keeper = new MembershipKeeper(stores);
  team = `team:${serial++}`;
  for (const userId of ['ada', 'bob']) {
    await stores.db('users').insert({ id: userId }).onConflict().ignore();
    await conversations.addMember(team, userId);
    expect(await conversations.isMember(team, userId)).toBe(true);
  }
  // Its first pass compares what is kept.
  await keeper.pass();
});
afterEach(async () => {
  await stores.db('membership_changes').delete();
  await presence.followUps.settled();
  await stores.close();
});
afterAll(() => testStores?.close());

const notes = () => stores.db('membership_changes').orderBy(['conversation_id', 'user_id']);
const membership = (userId: string) => ({ conversationId: team, userId });
/** As if that had been some seconds ago. */
const waitFor = (seconds: number, column: 'made_at' | 'applied_at') =>
  stores.db.raw(`UPDATE membership_changes SET ${column} = ${column} - interval '${seconds} seconds'`);
const isKept = (userId: string) => stores.memberships.isKept(team, userId);

/** How often the webs were told to let this user's sockets go. */
async function expulsions(userId: string, conversationId = team): Promise<number> {
  const entries = await stores.redis.xrange(stores.keys.outbox(shardOf(conversationId)), '-', '+');
  return entries.filter(([, fields]) => {
    const at = (name: string) => fields[fields.indexOf(name) + 1];
    return at('kind') === 'expelled' && at('conversation') === conversationId && at('user') === userId;
  }).length;
}

test('who is removed is a member no more from the answer on, and it is noted that Redis has heard', async () => {
  await conversations.removeMember(team, 'ada');
  expect(await conversations.isMember(team, 'ada')).toBe(false);
  expect(await conversations.isMember(team, 'bob')).toBe(true);
  expect(await expulsions('ada')).toBe(1);
  expect(await notes()).toMatchObject([{ user_id: 'ada', applied_at: expect.any(Date) }]);
  expect(await keeper.pass()).toEqual({ told: 0, confirmed: 0 });
  await conversations.addMember(team, 'ada');
  expect(await conversations.isMember(team, 'ada')).toBe(true);
});

test('a removal that Redis was not told of is told by a worker, whoever made it', async () => {
  await removeMember(stores.db, membership('ada'));
  await stores.db('conversation_members').where({ conversation_id: team, user_id: 'bob' }).delete();
  expect(await notes()).toMatchObject([
    { user_id: 'ada', applied_at: null },
    { user_id: 'bob', applied_at: null },
  ]);
  // A web may still be at it.
  expect(await keeper.pass()).toEqual({ told: 0, confirmed: 0 });
  await waitFor(2, 'made_at');
  expect(await keeper.pass()).toEqual({ told: 2, confirmed: 0 });
  for (const userId of ['ada', 'bob']) {
    expect(await conversations.isMember(team, userId)).toBe(false);
    expect(await expulsions(userId)).toBe(1);
  }
  expect(await keeper.pass()).toEqual({ told: 0, confirmed: 0 });
});

test('what was told is told once more after a while, should Redis have forgotten, and then dropped', async () => {
  await conversations.removeMember(team, 'ada');
  // As a replica has it that had not heard, and has taken over.
  await stores.redis.del(stores.keys.removedMembers(shardOf(team)));
  await stores.memberships.keep(team, 'ada');
  expect(await isKept('ada')).toBe(true);
  await waitFor(29, 'applied_at');
  expect(await keeper.pass()).toEqual({ told: 0, confirmed: 0 });
  await waitFor(2, 'applied_at');
  expect(await keeper.pass()).toEqual({ told: 0, confirmed: 1 });
  expect(await isKept('ada')).toBe(false);
  expect(await expulsions('ada')).toBe(2);
  expect(await notes()).toEqual([]);
});

test('while Redis is away a removal is kept, answered with UNAVAILABLE, and told once Redis is back', async () => {
  const ended = once(stores.redis, 'end');
  stores.redis.disconnect();
  await ended;
  await expect(conversations.removeMember(team, 'ada')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await expect(conversations.isMember(team, 'ada')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await stores.redis.connect();
  await waitFor(2, 'made_at');
  expect(await keeper.pass()).toEqual({ told: 1, confirmed: 0 });
  expect(await conversations.isMember(team, 'ada')).toBe(false);
  expect(await expulsions('ada')).toBe(1);
});

test('a removal that is repeated is told again, whatever became of the first', async () => {
  await removeMember(stores.db, membership('ada'));
  await conversations.removeMember(team, 'ada');
  expect(await conversations.isMember(team, 'ada')).toBe(false);
  expect(await notes()).toMatchObject([{ user_id: 'ada', applied_at: expect.any(Date) }]);
  await conversations.removeMember(team, 'ada');
  expect(await expulsions('ada')).toBe(2);
});

test('who is added again before a worker tells of the removal stays in', async () => {
  await removeMember(stores.db, membership('ada'));
  await addMember(stores.db, membership('ada'));
  await waitFor(2, 'made_at');
  expect(await keeper.pass()).toEqual({ told: 1, confirmed: 0 });
  expect(await expulsions('ada')).toBe(0);
  expect(await conversations.isMember(team, 'ada')).toBe(true);
  // And one who is removed again while the first removal is being confirmed is told of anew.
  await waitFor(31, 'applied_at');
  await removeMember(stores.db, membership('ada'));
  await waitFor(2, 'made_at');
  expect(await keeper.pass()).toEqual({ told: 1, confirmed: 0 });
  expect(await expulsions('ada')).toBe(1);
});

test('an erasure is a removal from every conversation, told also where its worker died behind it', async () => {
  const other = `${team}:other`;
  await conversations.addMember(other, 'ada');
  expect(await conversations.isMember(other, 'ada')).toBe(true);
  expect((await eraseUser(stores.db, 'ada', Date.now())).sort()).toEqual(expect.arrayContaining([team, other]));
  await waitFor(2, 'made_at');
  await keeper.pass();
  for (const conversationId of [team, other]) {
    expect(await conversations.isMember(conversationId, 'ada')).toBe(false);
    expect(await expulsions('ada', conversationId)).toBe(1);
  }
  // Once more, without naming the erased to anybody.
  await waitFor(31, 'applied_at');
  await keeper.pass();
  expect(await expulsions('ada')).toBe(1);
  expect(await notes()).toEqual([]);
});

test('what Redis keeps of members is compared with PostgreSQL: who is none there is let in no more, and put out', async () => {
  // As after a failover or a restore: nothing says any more that there was a removal.
  await removeMember(stores.db, membership('ada'));
  await stores.db('membership_changes').delete();
  expect(await conversations.isMember(team, 'ada')).toBe(true);
  expect(await compareMemberships(stores)).toEqual({ removed: 1 });
  expect(await conversations.isMember(team, 'ada')).toBe(false);
  expect(await expulsions('ada')).toBe(1);
  expect(await isKept('bob')).toBe(true);
  expect(await compareMemberships(stores)).toEqual({ removed: 0 });
});

test('without PostgreSQL those are let in of whom it said so lately, and of all others nothing is guessed', async () => {
  const db = connectPostgres(configOf({ ...testStores, databaseUrl: 'postgres://nobody@127.0.0.1:1/nothing' }));
  const blind = new Conversations({ ...stores, db }, presence);
  expect(await blind.isMember(team, 'ada')).toBe(true);
  await expect(blind.isMember(team, 'eve')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  stores.memberships.distrust([shardOf(team)]);
  await expect(blind.isMember(team, 'ada')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await db.destroy();
});
