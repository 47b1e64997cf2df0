import type { Knex } from 'knex';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectPostgres } from '../../src/postgres/connect.ts';
import { eraseUser } from '../../src/postgres/erasure.ts';
import { recordChanges } from '../../src/postgres/history.ts';
import { privaciesOf, privacyList, raiseAbove, type Untold } from '../../src/postgres/privacy.ts';
import { dropChanges, markTold, toldChanges, untoldChanges } from '../../src/postgres/privacy-changes.ts';
import {
  accesses,
  befriend,
  block,
  blocksOf,
  changeSettings,
  friendsOf,
  ListFull,
  MAX_BLOCKS,
  MAX_FRIENDS,
  relationsOf,
  type SettingsChange,
  setAlert,
  settingsOf,
  unblock,
  unfriend,
} from '../../src/postgres/social.ts';
import { inTransaction } from '../../src/postgres/transaction.ts';
import { loadStoredForScripts, loadStoredUsers } from '../../src/postgres/users.ts';
import { type Access, accessOf, OPEN, PRECISIONS, VISIBILITIES } from '../../src/presence/visibility.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';

let stores: TestStores;
let db: Knex;

beforeAll(async () => {
  stores = await openTestStores('social');
  db = connectPostgres({ databaseUrl: stores.databaseUrl, databaseSsl: 'by-url' });
});

afterAll(async () => {
  await db.destroy();
  await stores.close();
});

const privacyOf = async (userId: string) => (await privaciesOf(db, [userId])).get(userId);
const revisionOf = async (userId: string) => (await privacyOf(userId))?.revision ?? 0;
const blocksAround = (userId: string) => privacyList(db, userId, 'blocks', '', 1000);
/** Of whom something was changed, as far as Redis is to be told so. */
const changedBy = (untold: Untold) => [...untold].flatMap(([userId, { step }]) => (step ? userId : [])).sort();
/** Makes the change, and has Redis know of it. */
async function tell(making: Promise<Untold>): Promise<Untold> {
  const untold = await making;
  await markTold(
    db,
    [...untold].map(([userId, { privacy }]) => ({ userId, revision: privacy.revision })),
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
    const memories = await loadStoredUsers(db, ['f-ada', 'f-bob']);
    expect(memories.get('f-bob')).toMatchObject({ version: 0, lastSeen: null, status: 'inactive' });
    expect(memories.size).toBe(2);
  });

  test('come in the order of their ids, which is that of ASCII', async () => {
    for (const friend of ['f-z', 'f-A', 'f-a:1', 'f-a', 'f-~']) await befriend(db, 'f-many', friend);
    const ids = (await friendsOf(db, 'f-many')).map((friend) => friend.userId);
    expect(ids).toEqual(['f-A', 'f-a', 'f-a:1', 'f-z', 'f-~']);
  });

  test('of somebody whom everyone may see change nobody’s privacy', async () => {
    expect(changedBy(await befriend(db, 'f-open', 'f-open-too'))).toEqual([]);
    expect(changedBy(await unfriend(db, 'f-open', 'f-open-too'))).toEqual([]);
    expect(await revisionOf('f-open')).toBe(0);
    expect(await waiting('f-open')).toBeUndefined();
  });

  test('change the privacy of the one of the two who asks for friends', async () => {
    await set('f-shy', { lastSeenVisibility: 'friends' });
    const before = await revisionOf('f-shy');
    const made = await befriend(db, 'f-shy', 'f-frank');
    expect(changedBy(made)).toEqual(['f-shy']);
    const revision = await revisionOf('f-shy');
    expect(made.get('f-shy')).toEqual({
      privacy: { ...OPEN, revision, lastSeenVisibility: 'friends', open: false },
      step: {
        previous: before,
        wasOpen: false,
        own: false,
        friendsBegin: false,
        friends: { added: ['f-frank'], removed: [] },
        blocks: { added: [], removed: [] },
      },
    });
    expect(await waiting('f-shy')).toBe(revision);
    const ended = await unfriend(db, 'f-frank', 'f-shy');
    expect(ended.get('f-shy')?.step).toMatchObject({
      previous: revision,
      friends: { added: [], removed: ['f-frank'] },
    });
    expect(await friendsOf(db, 'f-shy')).toEqual([]);
    expect(await friendsOf(db, 'f-frank')).toEqual([]);
  });

  test('once more, or ended once more, changes nothing and keeps the alert', async () => {
    await set('f-twice', { visibility: 'friends' });
    await tell(befriend(db, 'f-twice', 'f-again'));
    expect(await setAlert(db, 'f-twice', 'f-again', 'always')).toBe(true);
    expect(changedBy(await tell(befriend(db, 'f-again', 'f-twice')))).toEqual([]);
    expect(await friendsOf(db, 'f-twice')).toEqual([{ userId: 'f-again', alert: 'always' }]);
    expect(await friendsOf(db, 'f-again')).toEqual([{ userId: 'f-twice', alert: 'never' }]);
    await tell(unfriend(db, 'f-twice', 'f-again'));
    const revision = await revisionOf('f-twice');
    expect(changedBy(await unfriend(db, 'f-twice', 'f-again'))).toEqual([]);
    expect(await revisionOf('f-twice')).toBe(revision);
  });

  test('come a page at a time where that is asked for', async () => {
    for (const friend of ['f-1', 'f-2', 'f-3']) await befriend(db, 'f-paged', friend);
    const ids = async (afterId: string) =>
      (await friendsOf(db, 'f-paged', { afterId, limit: 2 })).map(({ userId }) => userId);
    expect(await ids('')).toEqual(['f-1', 'f-2']);
    expect(await ids('f-2')).toEqual(['f-3']);
  });

  test('are bounded for those whose settings ask for them, whichever comes first', async () => {
    await changeSettings(db, 'f-full', { visibility: 'friends' });
    for (const userId of ['f-full', 'f-crowded']) {
      await db.raw(
        `INSERT INTO friendships (user_id, friend_id) SELECT ?, 'f-of-' || n FROM generate_series(1, ?::int) n`,
        [userId, MAX_FRIENDS + (userId === 'f-crowded' ? 1 : 0)],
      );
    }
    await expect(befriend(db, 'f-one-more', 'f-full')).rejects.toThrow(ListFull);
    expect(await friendsOf(db, 'f-one-more')).toEqual([]);
    await expect(changeSettings(db, 'f-crowded', { visibility: 'friends' })).rejects.toThrow(ListFull);
    expect(await settingsOf(db, 'f-crowded')).toMatchObject({ visibility: 'everyone' });
    await befriend(db, 'f-crowded', 'f-one-more');
  });

  test('that are none can be ended and not be alerted of, and nobody becomes known by it', async () => {
    expect(changedBy(await unfriend(db, 'f-none', 'f-no-one'))).toEqual([]);
    expect(changedBy(await unblock(db, 'f-none', 'f-no-one'))).toEqual([]);
    expect(await setAlert(db, 'f-none', 'f-no-one', 'once')).toBe(false);
    expect(await loadStoredUsers(db, ['f-none', 'f-no-one'])).toEqual(new Map());
  });
});

describe('a block', () => {
  test('is the privacy of both and the list of one', async () => {
    const changed = await tell(block(db, 'b-ada', 'b-bob'));
    expect(changed.get('b-ada')?.step).toMatchObject({ own: true, blocks: { added: ['b-bob'] } });
    expect(changed.get('b-bob')?.step).toMatchObject({ own: false, blocks: { added: ['b-ada'] } });
    expect(await blocksAround('b-ada')).toEqual(['b-bob']);
    expect(await blocksAround('b-bob')).toEqual(['b-ada']);
    expect(await blocksOf(db, 'b-ada')).toEqual(['b-bob']);
    expect(await blocksOf(db, 'b-bob')).toEqual([]);
    expect(changedBy(await block(db, 'b-ada', 'b-bob'))).toEqual([]);
  });

  test('makes nobody known but who blocks, and counts from the first moment of whoever comes later', async () => {
    await tell(block(db, 'b-host', 'b-invented'));
    expect([...(await loadStoredUsers(db, ['b-host', 'b-invented'])).keys()]).toEqual(['b-host']);
    const seed = (await loadStoredForScripts(db, ['b-invented'])).get('b-invented');
    expect(seed?.privacyRevision).toBe(await revisionOf('b-invented'));
    expect(seed?.privacyRevision).toBeGreaterThan(0);
    expect((await loadStoredForScripts(db, ['b-nobody'])).size).toBe(0);
    expect(await relationsOf(db, 'b-invented', ['b-host', 'b-other'])).toMatchObject({
      relations: [
        { friend: false, blocked: true },
        { friend: false, blocked: false },
      ],
    });
    // Known by now, and still blocked.
    await changeSettings(db, 'b-invented', { alertFriends: false });
    expect((await loadStoredUsers(db, ['b-invented'])).get('b-invented')?.privacyRevision).toBe(seed?.privacyRevision);
    const ended = await unblock(db, 'b-host', 'b-invented');
    expect(ended.get('b-invented')?.privacy.revision).toBeGreaterThan(seed?.privacyRevision ?? 0);
    expect((await loadStoredUsers(db, ['b-invented'])).get('b-invented')?.privacyRevision).toBe(0);
  });

  test('too many is refused and changes nothing, one that is there is not', async () => {
    await block(db, 'b-full', 'b-first');
    await db.raw(
      `INSERT INTO blocks (user_id, blocked_id) SELECT 'b-full', 'b-n' || n FROM generate_series(2, ?::int) n`,
      [MAX_BLOCKS],
    );
    const revision = await revisionOf('b-full');
    await expect(block(db, 'b-full', 'b-one-more')).rejects.toThrow(ListFull);
    expect(await revisionOf('b-full')).toBe(revision);
    expect(await blocksAround('b-one-more')).toEqual([]);
    expect(changedBy(await block(db, 'b-full', 'b-first'))).toEqual([]);
    await unblock(db, 'b-full', 'b-first');
    expect(changedBy(await block(db, 'b-full', 'b-one-more'))).toEqual(['b-full', 'b-one-more']);
  });

  test('from the other side as well changes nothing, and stays when the first one ends', async () => {
    await tell(block(db, 'b-cid', 'b-dan'));
    const revision = await revisionOf('b-cid');
    expect(changedBy(await block(db, 'b-dan', 'b-cid'))).toEqual([]);
    expect(changedBy(await unblock(db, 'b-cid', 'b-dan'))).toEqual([]);
    expect(await revisionOf('b-cid')).toBe(revision);
    expect(await blocksAround('b-cid')).toEqual(['b-dan']);
    const ended = await tell(unblock(db, 'b-dan', 'b-cid'));
    expect(changedBy(ended)).toEqual(['b-cid', 'b-dan']);
    for (const { privacy } of ended.values()) expect(privacy).toMatchObject({ open: true });
    expect(changedBy(await unblock(db, 'b-dan', 'b-cid'))).toEqual([]);
  });

  test('leaves the friendship as it is', async () => {
    await befriend(db, 'b-eve', 'b-fay');
    await block(db, 'b-eve', 'b-fay');
    expect(await friendsOf(db, 'b-eve')).toHaveLength(1);
  });
});

describe('settings', () => {
  test('are open where nothing was said, also for somebody nobody ever heard of', async () => {
    const open = { ...OPEN, alertFriends: true };
    expect(await settingsOf(db, 's-nobody')).toEqual(open);
    expect(await loadStoredUsers(db, ['s-nobody'])).toEqual(new Map());
    expect(await privacyOf('s-nobody')).toMatchObject({ revision: 0, open: true });
    expect(await privaciesOf(db, [])).toEqual(new Map());
  });

  test('change one by one and keep the rest', async () => {
    const first = await changeSettings(db, 's-ada', { visibility: 'friends' });
    expect(first.untold.get('s-ada')).toMatchObject({ privacy: { visibility: 'friends' }, step: { wasOpen: true } });
    const second = await changeSettings(db, 's-ada', { lastSeenVisibility: 'nobody' });
    expect(second.settings).toEqual({
      visibility: 'friends',
      lastSeenVisibility: 'nobody',
      lastSeenPrecision: 'exact',
      alertFriends: true,
    });
    expect(second.untold.get('s-ada')?.step?.previous).toBe(first.untold.get('s-ada')?.privacy.revision);
    expect(await settingsOf(db, 's-ada')).toEqual(second.settings);
  });

  test('that say the same again, or only whether friends are alerted, are no change of privacy, and are told all the same', async () => {
    await set('s-bob', { visibility: 'nobody' });
    const revision = await revisionOf('s-bob');
    const again = await changeSettings(db, 's-bob', { visibility: 'nobody' });
    expect(again.untold.get('s-bob')).toMatchObject({ privacy: { revision, visibility: 'nobody' }, step: null });
    const silent = await changeSettings(db, 's-bob', { alertFriends: false });
    expect(changedBy(silent.untold)).toEqual([]);
    expect(silent.settings).toEqual({ ...OPEN, visibility: 'nobody', alertFriends: false });
    expect(await revisionOf('s-bob')).toBe(revision);
  });

  test('say where the friends begin to count: all of them do', async () => {
    await befriend(db, 's-cid', 's-dan');
    const shy = await changeSettings(db, 's-cid', { visibility: 'friends' });
    expect(shy.untold.get('s-cid')?.step?.friendsBegin).toBe(true);
    expect(await privacyList(db, 's-cid', 'friends', '', 10)).toEqual(['s-dan']);
    const shyer = await changeSettings(db, 's-cid', { lastSeenVisibility: 'friends' });
    expect(shyer.untold.get('s-cid')?.step?.friendsBegin).toBe(false);
  });
});

describe('a revision', () => {
  test('is at least the moment of the change, for a row that is new too, and at least the one before and one', async () => {
    const from = Date.now() - 1000;
    await changeSettings(db, 'r-ada', { visibility: 'nobody' });
    const first = await revisionOf('r-ada');
    expect(first).toBeGreaterThan(from);
    const future = Date.now() + 3_600_000;
    await db('users').where({ id: 'r-ada' }).update({ privacy_revision: future });
    await changeSettings(db, 'r-ada', { visibility: 'friends' });
    expect(await revisionOf('r-ada')).toBe(future + 1);
  });

  test('of a row that was made anew is greater than those of the row before', async () => {
    await changeSettings(db, 'r-bob', { visibility: 'nobody' });
    const before = await revisionOf('r-bob');
    await eraseUser(db, 'r-bob', Date.now());
    await changeSettings(db, 'r-bob', { visibility: 'nobody' });
    expect(await revisionOf('r-bob')).toBeGreaterThan(before);
  });

  test('is raised above what stands in a Redis that is newer, and what PostgreSQL says stays', async () => {
    await changeSettings(db, 'r-cid', { visibility: 'nobody' });
    const standing = (await revisionOf('r-cid')) + 86_400_000;
    const raised = await raiseAbove(db, 'r-cid', standing);
    expect(raised).toMatchObject({ revision: standing + 1, visibility: 'nobody', open: false });
    expect(await revisionOf('r-cid')).toBe(standing + 1);
    expect(await raiseAbove(db, 'r-nobody', standing)).toMatchObject({ revision: standing + 1, open: true });
    expect(await loadStoredUsers(db, ['r-nobody'])).toEqual(new Map());
  });
});

test('an erasure takes relations that are being made at the same time with it, and those who had them are told', async () => {
  for (let round = 0; round < 20; round++) {
    const [gone, other] = [`e-gone-${round}`, `e-other-${round}`];
    await changeSettings(db, gone, { visibility: 'friends' });
    await changeSettings(db, other, { visibility: 'friends' });
    await Promise.all([block(db, other, gone), befriend(db, gone, other), eraseUser(db, gone, round + 1)]);
    const left = await blocksAround(other);
    const notes = (await untoldChanges(db, 0, 10_000)).filter((change) => change.userId === other);
    // Either the erasure came first, or nothing of the erased is left and Redis hears of it.
    const privacy = await privacyOf(other);
    expect(notes.map((note) => note.revision)).toEqual([privacy?.revision]);
    if (left.length === 0) expect(notes[0]?.step?.blocks.added ?? []).not.toContain(gone);
  }
});

test('what a viewer may see follows the rule in every case', async () => {
  const cases: { id: string; access: Access }[] = [{ id: 'v-viewer', access: 'all' }];
  await changeSettings(db, 'v-viewer', { visibility: 'nobody', lastSeenVisibility: 'nobody' });
  for (const visibility of VISIBILITIES) {
    for (const lastSeenVisibility of VISIBILITIES) {
      for (const friend of [false, true]) {
        for (const blocked of ['no', 'by the user', 'by the viewer', 'by both']) {
          const id = `v-${cases.length}`;
          const lastSeenPrecision = PRECISIONS[cases.length % 2 === 0 || blocked !== 'no' ? 0 : 1] ?? 'exact';
          await changeSettings(db, id, { visibility, lastSeenVisibility, lastSeenPrecision });
          if (friend) await befriend(db, 'v-viewer', id);
          if (blocked === 'by the user' || blocked === 'by both') await block(db, id, 'v-viewer');
          if (blocked === 'by the viewer' || blocked === 'by both') await block(db, 'v-viewer', id);
          const relation = { self: false, friend, blocked: blocked !== 'no' };
          cases.push({ id, access: accessOf({ visibility, lastSeenVisibility, lastSeenPrecision }, relation) });
        }
      }
    }
  }
  const ids = cases.map((one) => one.id);
  const seen = await accesses(db, 'v-viewer', [...ids, 'v-unknown']);
  expect(ids.map((id) => ({ id, access: seen.get(id) ?? 'all' }))).toEqual(cases);
  expect(seen.has('v-unknown')).toBe(false);
  expect(await accesses(db, 'v-viewer', [])).toEqual(new Map());

  for (const { id, access } of cases) {
    const { relations, ...openness } = await relationsOf(db, id, ['v-viewer']);
    const [between] = relations;
    expect(between && accessOf(openness, { self: id === 'v-viewer', ...between })).toBe(access);
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
  for (const userId of people) {
    const friends = await privacyList(db, userId, 'friends', '', 1000);
    for (const friend of friends) expect((await friendsOf(db, friend)).map((one) => one.userId)).toContain(userId);
    for (const blocker of await blocksAround(userId)) expect(await blocksOf(db, blocker)).toContain(userId);
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
    const ofThese = (changes: { userId: string }[]) => changes.filter((change) => change.userId.startsWith('w-'));
    const first = ofThese(await untoldChanges(db, 0, 1000)).map(({ userId }) => userId);
    expect(first.sort()).toEqual(['w-ada', 'w-bob']);
    const revisions = { ada: await revisionOf('w-ada'), bob: await waiting('w-bob') };
    expect((await untoldChanges(db, 60_000, 1000)).length).toBe(0);
    await changeSettings(db, 'w-ada', { visibility: 'nobody' });
    await markTold(db, [
      { userId: 'w-ada', revision: revisions.ada },
      { userId: 'w-bob', revision: revisions.bob ?? 0 },
    ]);
    expect(await waiting('w-ada')).toBe(await revisionOf('w-ada'));
    expect(await waiting('w-ada')).toBeGreaterThan(revisions.ada);
    expect(await waiting('w-bob')).toBeUndefined();
    expect(await toldChanges(db, 0, 1000)).toContainEqual(expect.objectContaining({ userId: 'w-bob' }));
    expect(await toldChanges(db, 60_000, 1000)).toEqual([]);
  });

  test('says what was done, until more than one change has gathered', async () => {
    await block(db, 'w-dan', 'w-eve');
    const note = async () => (await untoldChanges(db, 0, 1000)).find((change) => change.userId === 'w-dan');
    expect((await note())?.step).toMatchObject({ previous: 0, wasOpen: true, blocks: { added: ['w-eve'] } });
    await changeSettings(db, 'w-dan', { visibility: 'nobody' });
    expect(await note()).toMatchObject({ step: null, revision: await revisionOf('w-dan') });
  });

  test('is told anew when it changes anew, and is dropped only as it was', async () => {
    await changeSettings(db, 'w-cid', { visibility: 'nobody' });
    const first = await revisionOf('w-cid');
    await markTold(db, [{ userId: 'w-cid', revision: first }]);
    await changeSettings(db, 'w-cid', { visibility: 'everyone' });
    const second = await waiting('w-cid');
    expect(second).toBeGreaterThan(first);
    await dropChanges(db, [{ userId: 'w-cid', revision: first }]);
    expect(await waiting('w-cid')).toBe(second);
    await dropChanges(db, [{ userId: 'w-cid', revision: second ?? 0 }]);
    expect(await waiting('w-cid')).toBeUndefined();
    await markTold(db, []);
    await dropChanges(db, []);
  });
});

test('a change is made whole or not at all', async () => {
  const attempt = changeSettings(db, 'x-ada', { visibility: 'strangers' as 'everyone' });
  await expect(attempt).rejects.toMatchObject({ code: '23514' });
  expect(await loadStoredUsers(db, ['x-ada'])).toEqual(new Map());
  await expect(befriend(db, 'x-same', 'x-same')).rejects.toMatchObject({ code: '23514' });
  // The connections are fit for use again, all of them.
  const all = await Promise.all(
    Array.from({ length: 10 }, () => changeSettings(db, 'x-ada', { visibility: 'nobody' })),
  );
  expect(all.flatMap(({ untold }) => changedBy(untold))).toEqual(['x-ada']);
});
