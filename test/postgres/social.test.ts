import type { Knex } from 'knex';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectPostgres } from '../../src/postgres/connect.ts';
import { recordChanges } from '../../src/postgres/history.ts';
import type { Untold } from '../../src/postgres/privacy.ts';
import { dropChanges, markTold, toldChanges, untoldChanges } from '../../src/postgres/privacy-changes.ts';
import {
  befriend,
  block,
  blocksOf,
  changeSettings,
  friendsOf,
  loadPrivacy,
  type SettingsChange,
  setAlert,
  settingsOf,
  sights,
  unblock,
  unfriend,
} from '../../src/postgres/social.ts';
import { inTransaction } from '../../src/postgres/transaction.ts';
import { loadMemories } from '../../src/postgres/users.ts';
import { type Sight, sightOf, VISIBILITIES } from '../../src/presence/visibility.ts';
import { openStores, type Stores } from '../support/stores.ts';

let stores: Stores;
let db: Knex;

beforeAll(async () => {
  stores = await openStores('social');
  db = connectPostgres({ databaseUrl: stores.databaseUrl, databaseSsl: 'by-url' });
});

afterAll(async () => {
  await db.destroy();
  await stores.close();
});

const revisionOf = async (userId: string) => (await loadPrivacy(db, [userId])).get(userId)?.revision;
/** Makes the change, and has Redis know of it. */
async function tell(making: Promise<Untold>): Promise<Untold> {
  const untold = await making;
  await markTold(
    db,
    [...untold].map(([userId, { revision }]) => ({ userId, revision })),
  );
  return untold;
}
const set = async (userId: string, wanted: SettingsChange) => {
  const changing = changeSettings(db, userId, wanted);
  return { untold: await tell(changing.then(({ untold }) => untold)), settings: (await changing).settings };
};
const waiting = async (userId: string) =>
  (await untoldChanges(db, 0, 1000)).find((change) => change.userId === userId)?.revision;

describe('friends', () => {
  test('are so for both, and unknown ids become users who never came', async () => {
    await befriend(db, 'f-ada', 'f-bob');
    expect(await friendsOf(db, 'f-ada')).toEqual([{ userId: 'f-bob', alert: 'never' }]);
    expect(await friendsOf(db, 'f-bob')).toEqual([{ userId: 'f-ada', alert: 'never' }]);
    const memories = await loadMemories(db, ['f-ada', 'f-bob']);
    expect(memories.get('f-bob')).toMatchObject({ version: 0, lastSeen: null, status: 'inactive' });
    expect(memories.size).toBe(2);
  });

  test('come in the order of their ids, which is that of ASCII', async () => {
    for (const friend of ['f-z', 'f-A', 'f-a:1', 'f-a', 'f-~']) await befriend(db, 'f-many', friend);
    const ids = (await friendsOf(db, 'f-many')).map((friend) => friend.userId);
    expect(ids).toEqual(['f-A', 'f-a', 'f-a:1', 'f-z', 'f-~']);
  });

  test('of somebody whom everyone may see change nobody’s privacy', async () => {
    expect(await befriend(db, 'f-open', 'f-open-too')).toEqual(new Map());
    expect(await unfriend(db, 'f-open', 'f-open-too')).toEqual(new Map());
    expect(await revisionOf('f-open')).toBe(0);
    expect(await waiting('f-open')).toBeUndefined();
  });

  test('change the privacy of the one of the two who asks for friends', async () => {
    await set('f-shy', { lastSeenVisibility: 'friends' });
    const made = await befriend(db, 'f-shy', 'f-frank');
    expect([...made.keys()]).toEqual(['f-shy']);
    expect(made.get('f-shy')).toEqual({
      revision: 2,
      visibility: 'everyone',
      lastSeenVisibility: 'friends',
      friends: ['f-frank'],
      blocks: [],
    });
    expect(await waiting('f-shy')).toBe(2);
    const ended = await unfriend(db, 'f-frank', 'f-shy');
    expect(ended.get('f-shy')).toMatchObject({ revision: 3, friends: [] });
    expect(await friendsOf(db, 'f-shy')).toEqual([]);
    expect(await friendsOf(db, 'f-frank')).toEqual([]);
  });

  test('once more, or ended once more, changes nothing and keeps the alert', async () => {
    await set('f-twice', { visibility: 'friends' });
    await tell(befriend(db, 'f-twice', 'f-again'));
    expect(await setAlert(db, 'f-twice', 'f-again', 'always')).toBe(true);
    expect(await tell(befriend(db, 'f-again', 'f-twice'))).toEqual(new Map());
    expect(await friendsOf(db, 'f-twice')).toEqual([{ userId: 'f-again', alert: 'always' }]);
    expect(await friendsOf(db, 'f-again')).toEqual([{ userId: 'f-twice', alert: 'never' }]);
    await tell(unfriend(db, 'f-twice', 'f-again'));
    expect(await unfriend(db, 'f-twice', 'f-again')).toEqual(new Map());
    expect(await revisionOf('f-twice')).toBe(3);
  });

  test('that are none can be ended and not be alerted of, and nobody becomes known by it', async () => {
    expect(await unfriend(db, 'f-none', 'f-no-one')).toEqual(new Map());
    expect(await unblock(db, 'f-none', 'f-no-one')).toEqual(new Map());
    expect(await setAlert(db, 'f-none', 'f-no-one', 'once')).toBe(false);
    expect(await loadMemories(db, ['f-none', 'f-no-one'])).toEqual(new Map());
  });
});

describe('a block', () => {
  test('is the privacy of both and the list of one', async () => {
    const changed = await tell(block(db, 'b-ada', 'b-bob'));
    expect(changed.get('b-ada')).toMatchObject({ revision: 1, blocks: ['b-bob'] });
    expect(changed.get('b-bob')).toMatchObject({ revision: 1, blocks: ['b-ada'] });
    expect(await blocksOf(db, 'b-ada')).toEqual(['b-bob']);
    expect(await blocksOf(db, 'b-bob')).toEqual([]);
    expect(await block(db, 'b-ada', 'b-bob')).toEqual(new Map());
  });

  test('from the other side as well changes nothing, and stays when the first one ends', async () => {
    await tell(block(db, 'b-cid', 'b-dan'));
    expect(await block(db, 'b-dan', 'b-cid')).toEqual(new Map());
    expect(await unblock(db, 'b-cid', 'b-dan')).toEqual(new Map());
    expect((await loadPrivacy(db, ['b-cid'])).get('b-cid')).toMatchObject({ revision: 1, blocks: ['b-dan'] });
    const ended = await tell(unblock(db, 'b-dan', 'b-cid'));
    expect([...ended.values()]).toMatchObject([
      { revision: 2, blocks: [] },
      { revision: 2, blocks: [] },
    ]);
    expect(await unblock(db, 'b-dan', 'b-cid')).toEqual(new Map());
  });

  test('leaves the friendship as it is', async () => {
    await befriend(db, 'b-eve', 'b-fay');
    await block(db, 'b-eve', 'b-fay');
    expect(await friendsOf(db, 'b-eve')).toHaveLength(1);
  });
});

describe('settings', () => {
  test('are open where nothing was said, also for somebody nobody ever heard of', async () => {
    const open = { visibility: 'everyone', lastSeenVisibility: 'everyone', alertFriends: true };
    expect(await settingsOf(db, 's-nobody')).toEqual(open);
    expect(await loadMemories(db, ['s-nobody'])).toEqual(new Map());
    expect(await loadPrivacy(db, ['s-nobody'])).toEqual(new Map());
    expect(await loadPrivacy(db, [])).toEqual(new Map());
  });

  test('change one by one and keep the rest', async () => {
    const first = await changeSettings(db, 's-ada', { visibility: 'friends' });
    expect(first.untold.get('s-ada')).toMatchObject({ revision: 1, visibility: 'friends', friends: [] });
    const second = await changeSettings(db, 's-ada', { lastSeenVisibility: 'nobody' });
    expect(second.settings).toEqual({ visibility: 'friends', lastSeenVisibility: 'nobody', alertFriends: true });
    expect(second.untold.get('s-ada')).toMatchObject({ revision: 2, visibility: 'friends' });
    expect(await settingsOf(db, 's-ada')).toEqual(second.settings);
  });

  test('that say the same again, or only whether friends are alerted, are no change of privacy', async () => {
    await set('s-bob', { visibility: 'nobody' });
    expect((await changeSettings(db, 's-bob', { visibility: 'nobody' })).untold).toEqual(new Map());
    const silent = await changeSettings(db, 's-bob', { alertFriends: false });
    expect(silent.untold).toEqual(new Map());
    expect(silent.settings).toEqual({ visibility: 'nobody', lastSeenVisibility: 'everyone', alertFriends: false });
    expect(await revisionOf('s-bob')).toBe(1);
  });

  test('bring the friends in where they begin to count, and leave them out where they do not', async () => {
    await befriend(db, 's-cid', 's-dan');
    expect((await loadPrivacy(db, ['s-cid'])).get('s-cid')?.friends).toEqual([]);
    const shy = await changeSettings(db, 's-cid', { visibility: 'friends' });
    expect(shy.untold.get('s-cid')?.friends).toEqual(['s-dan']);
    const closed = await changeSettings(db, 's-cid', { visibility: 'nobody' });
    expect(closed.untold.get('s-cid')?.friends).toEqual([]);
  });
});

test('what a viewer may see follows the rule in every case', async () => {
  const cases: { id: string; sight: Sight }[] = [{ id: 'v-viewer', sight: 'all' }];
  await changeSettings(db, 'v-viewer', { visibility: 'nobody', lastSeenVisibility: 'nobody' });
  for (const visibility of VISIBILITIES) {
    for (const lastSeenVisibility of VISIBILITIES) {
      for (const friend of [false, true]) {
        for (const blocked of ['no', 'by the user', 'by the viewer', 'by both']) {
          const id = `v-${cases.length}`;
          await changeSettings(db, id, { visibility, lastSeenVisibility });
          if (friend) await befriend(db, 'v-viewer', id);
          if (blocked === 'by the user' || blocked === 'by both') await block(db, id, 'v-viewer');
          if (blocked === 'by the viewer' || blocked === 'by both') await block(db, 'v-viewer', id);
          const relation = { self: false, friend, blocked: blocked !== 'no' };
          cases.push({ id, sight: sightOf({ visibility, lastSeenVisibility }, relation) });
        }
      }
    }
  }
  const ids = cases.map((one) => one.id);
  const seen = await sights(db, 'v-viewer', [...ids, 'v-unknown']);
  expect(ids.map((id) => ({ id, sight: seen.get(id) ?? 'all' }))).toEqual(cases);
  expect(seen.has('v-unknown')).toBe(false);
  expect(await sights(db, 'v-viewer', [])).toEqual(new Map());

  const privacy = await loadPrivacy(db, ids);
  for (const { id, sight } of cases) {
    const one = privacy.get(id);
    const friend = one?.friends.includes('v-viewer') ?? false;
    const blocked = one?.blocks.includes('v-viewer') ?? false;
    expect(one && sightOf(one, { self: id === 'v-viewer', friend, blocked })).toBe(sight);
  }
});

test('changes at the same time, with strangers and with what workers write, wait for each other and never in a circle', async () => {
  const people = Array.from({ length: 6 }, (_, n) => `c-${n}`);
  const person = (n: number) => people[n % people.length] ?? '';
  for (const id of people.slice(0, 3)) await changeSettings(db, id, { visibility: 'friends' });
  await Promise.all(
    Array.from({ length: 120 }, async (_, n) => {
      const [one, other, stranger] = [person(n * 7), person(n * 7 + 1 + (n % 5)), `c-stranger-${n % 11}`];
      if (n % 6 === 0) await befriend(db, one, other);
      if (n % 6 === 1) await block(db, stranger, one);
      if (n % 6 === 2) await unfriend(db, other, one);
      if (n % 6 === 3) await unblock(db, stranger, one);
      if (n % 6 === 4) await markTold(db, (await untoldChanges(db, 0, 500)).toReversed());
      if (n % 6 === 5) {
        const change = { status: 'active', lastSeen: n, version: n, at: n, cause: 'connect' } as const;
        const batch = [stranger, other, one].map((userId) => ({ change: { ...change, userId } }));
        await recordChanges(
          db,
          batch.map((entry) => ({ ...entry, clearsHidden: false, transition: true })),
        );
      }
    }),
  );
  for (const [userId, { friends, blocks }] of await loadPrivacy(db, people)) {
    for (const friend of friends) expect((await friendsOf(db, friend)).map((one) => one.userId)).toContain(userId);
    for (const blocker of blocks) expect(await blocksOf(db, blocker)).toContain(userId);
  }
});

test('a change takes users in the order of their ids, those it makes included', async () => {
  await changeSettings(db, 'o-first', { alertFriends: true });
  let blocking: Promise<Untold> | undefined;
  await inTransaction(db, async (ask) => {
    await ask(`SELECT FROM users WHERE id = 'o-first' FOR UPDATE`);
    blocking = block(db, 'o-second', 'o-first');
    const waits = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    await expect.poll(async () => (await db.raw(waits)).rowCount).toBe(1);
    // As a worker's batch does that holds the first and comes to the second.
    await ask(`INSERT INTO users (id) VALUES ('o-second')`);
  });
  expect([...((await blocking)?.keys() ?? [])].sort()).toEqual(['o-first', 'o-second']);
});

describe('what Redis has to hear', () => {
  test('waits until it was told, and a change that came meanwhile goes on waiting', async () => {
    await block(db, 'w-ada', 'w-bob');
    const first = [
      { userId: 'w-ada', revision: 1 },
      { userId: 'w-bob', revision: 1 },
    ];
    expect((await untoldChanges(db, 0, 1000)).filter((change) => change.userId.startsWith('w-'))).toEqual(first);
    expect((await untoldChanges(db, 60_000, 1000)).length).toBe(0);
    await changeSettings(db, 'w-ada', { visibility: 'nobody' });
    await markTold(db, first);
    expect(await waiting('w-ada')).toBe(2);
    expect(await waiting('w-bob')).toBeUndefined();
    expect(await toldChanges(db, 0, 1000)).toContainEqual({ userId: 'w-bob', revision: 1 });
    expect(await toldChanges(db, 60_000, 1000)).toEqual([]);
  });

  test('is handed out again to whoever repeats it, until it was told', async () => {
    const nobody = { visibility: 'nobody' } as const;
    await changeSettings(db, 'w-dan', nobody);
    await block(db, 'w-dan', 'w-eve');
    const again = (await set('w-dan', nobody)).untold;
    expect(again.get('w-dan')).toMatchObject({ revision: 2, visibility: 'nobody', blocks: ['w-eve'] });
    expect([...(await block(db, 'w-dan', 'w-eve')).keys()]).toEqual(['w-eve']);
    expect((await set('w-dan', nobody)).untold).toEqual(new Map());
    expect(await revisionOf('w-dan')).toBe(2);
  });

  test('is told anew when it changes anew, and is dropped only as it was', async () => {
    await changeSettings(db, 'w-cid', { visibility: 'nobody' });
    await markTold(db, [{ userId: 'w-cid', revision: 1 }]);
    await changeSettings(db, 'w-cid', { visibility: 'everyone' });
    expect(await waiting('w-cid')).toBe(2);
    await dropChanges(db, [{ userId: 'w-cid', revision: 1 }]);
    expect(await waiting('w-cid')).toBe(2);
    await dropChanges(db, [{ userId: 'w-cid', revision: 2 }]);
    expect(await waiting('w-cid')).toBeUndefined();
    await markTold(db, []);
    await dropChanges(db, []);
  });
});

test('a change is made whole or not at all', async () => {
  const attempt = changeSettings(db, 'x-ada', { visibility: 'strangers' as 'everyone' });
  await expect(attempt).rejects.toMatchObject({ code: '23514' });
  expect(await loadMemories(db, ['x-ada'])).toEqual(new Map());
  await expect(befriend(db, 'x-same', 'x-same')).rejects.toMatchObject({ code: '23514' });
  // The connections are fit for use again, all of them.
  await Promise.all(Array.from({ length: 10 }, () => changeSettings(db, 'x-ada', { visibility: 'nobody' })));
  expect(await revisionOf('x-ada')).toBe(1);
});
