import type { Knex } from 'knex';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  changesAfter,
  changesLeft,
  dropChangesOfFeed,
  dropErasuresFromFeed,
  type FedChange,
  type FeedCursor,
  feedState,
  markLoss,
  positionChanges,
} from '../../src/postgres/change-feed.ts';
import { feedFigures } from '../../src/postgres/change-feed-figures.ts';
import { connectPostgres } from '../../src/postgres/connect.ts';
import { eraseUser } from '../../src/postgres/erasure.ts';
import { type RecordedEntry, recordChanges } from '../../src/postgres/history.ts';
import { dropVacatedRooms, recordRooms, roomsToldOccupied } from '../../src/postgres/rooms-told.ts';
import { noteTakenUpTo, takenUpTo } from '../../src/postgres/webhooks.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';

let stores: TestStores;
/** Each with a pool of its own, as processes have. */
let db: Knex;
let other: Knex;

beforeAll(async () => {
  stores = await openTestStores('change feed');
  const settings = { databaseUrl: stores.databaseUrl, databaseSsl: 'by-url' } as const;
  [db, other] = [connectPostgres(settings), connectPostgres(settings)];
});
afterAll(async () => {
  await Promise.all([db, other].map((each) => each?.destroy()));
  await stores?.close();
});

const NOW = Date.now();
let begin: FeedCursor;
beforeEach(async () => {
  await positionChanges(db, 1000);
  begin = (await feedState(db)).now;
});

function entry(userId: string, version: number, rest: Partial<RecordedEntry['change']> = {}): RecordedEntry {
  const change = {
    userId,
    version,
    at: version,
    lastSeen: version,
    status: 'active',
    cause: 'connect',
    ...rest,
  } as const;
  return { change, clearsHidden: false, transition: true };
}

const ofUsers = (changes: readonly FedChange[]) => changes.flatMap((change) => ('userId' in change ? [change] : []));
const named = (changes: FedChange[]) => ofUsers(changes).map(({ userId, version }) => `${userId} ${version - NOW}`);
async function readOn(after = begin, limit = 100) {
  const page = await changesAfter(db, after, limit);
  return page.gone ? 'gone' : named(page.changes);
}

describe('a feed', () => {
  test('has what the history took in, once and whole, and shows it only with its position', async () => {
    const batch = [
      entry('ada', NOW + 1),
      entry('ada', NOW + 2, { status: 'inactive', cause: 'manual', lastSeen: null }),
      { ...entry('bob', NOW + 3, { cause: 'detail' }), transition: false },
    ];
    await recordChanges(db, batch);
    expect(await readOn()).toEqual([]);
    expect((await feedState(db)).waiting).toBe(true);
    await recordChanges(db, batch);
    expect(await positionChanges(db, 1000)).toBe(2);
    expect(await positionChanges(db, 1000)).toBe(0);
    await recordChanges(db, batch);
    expect((await feedState(db)).waiting).toBe(false);
    const page = await changesAfter(db, begin, 100);
    expect(page).toEqual({
      gone: false,
      changes: [
        {
          position: begin.position + 1,
          userId: 'ada',
          version: NOW + 1,
          at: NOW + 1,
          lastSeen: NOW + 1,
          status: 'active',
          cause: 'connect',
        },
        {
          position: begin.position + 2,
          userId: 'ada',
          version: NOW + 2,
          at: NOW + 2,
          lastSeen: null,
          status: 'inactive',
          cause: 'manual',
        },
      ],
      next: { ...begin, position: begin.position + 2 },
    });
    expect(await readOn(page.next)).toEqual([]);
  });

  test('is read page by page without a gap, also between two positions', async () => {
    await recordChanges(
      db,
      [1, 2, 3, 4, 5].map((n) => entry('pages', NOW + n)),
    );
    await positionChanges(db, 1000);
    const first = await changesAfter(db, begin, 2);
    const second = await changesAfter(db, first.next, 2);
    const third = await changesAfter(db, second.next, 2);
    expect([first, second, third].map((page) => named(page.changes).length)).toEqual([2, 2, 1]);
    expect(third.next).toEqual((await feedState(db)).now);
    const again = await changesAfter(db, first.next, 100, second.next.position);
    expect(again).toEqual(second);
    expect(await changesLeft(db, first.next, second.next.position)).toEqual(second.changes);
  });

  test('shows a reader everything, in the order of versions, while many write and many give positions', async () => {
    const users = 12;
    const rounds = 25;
    let writing = true;
    const seen: FedChange[] = [];
    const write = async (user: number) => {
      for (let round = 1; round <= rounds; round++) {
        await recordChanges(user % 2 ? db : other, [entry(`busy-${user}`, NOW + round)]);
      }
    };
    const position = async (pool: Knex) => {
      while (writing) await positionChanges(pool, 5);
    };
    const read = async () => {
      let cursor = begin;
      for (let last = false; ; ) {
        const page = await changesAfter(other, cursor, 7);
        if (page.gone) throw new Error('gone');
        seen.push(...page.changes);
        cursor = page.next;
        if (page.changes.length > 0) continue;
        if (last) return;
        last = !writing && !(await feedState(other)).waiting;
      }
    };
    const others = [position(db), position(other), read()];
    await Promise.all(Array.from({ length: users }, (_, user) => write(user)));
    writing = false;
    await Promise.all(others.slice(0, 2));
    await positionChanges(db, 1000);
    await others[2];
    expect(seen).toHaveLength(users * rounds);
    for (let user = 0; user < users; user++) {
      const mine = ofUsers(seen).filter((change) => change.userId === `busy-${user}`);
      const versions = mine.map((change) => change.version - NOW);
      expect(versions).toEqual(Array.from({ length: rounds }, (_, n) => n + 1));
    }
    expect(seen.map((change) => change.position)).toEqual(seen.map((_, n) => begin.position + 1 + n));
  });

  test('gives no positions while somebody else does', async () => {
    await recordChanges(db, [entry('held', NOW + 1)]);
    const holder = await other.transaction();
    try {
      await holder.raw('SELECT pg_advisory_xact_lock(7245118302)');
      expect(await positionChanges(db, 1000)).toBe(0);
    } finally {
      await holder.rollback();
    }
    expect(await positionChanges(db, 1000)).toBe(1);
  });
});

test('a room is told of once for each time that it became occupied or was vacated, however often that is said, and however Redis forgot', async () => {
  const say = (...told: [number, boolean][]) =>
    recordRooms(
      db,
      told.map(([n, occupied]) => ({ roomId: 'doc:1', occupied, version: NOW + n })),
    );
  await say([1, true]);
  await say([1, true], [5, false]);
  await say([1, true], [5, false]);
  await say([7, true]);
  // Redis was emptied, and who was there came back to it; or did not.
  await say([9, true]);
  expect(await roomsToldOccupied(db, '', 10)).toEqual(['doc:1']);
  expect(await roomsToldOccupied(db, 'doc:1', 10)).toEqual([]);
  await say([12, false]);
  await positionChanges(db, 1000);
  const page = await changesAfter(db, begin, 100);
  const told = page.changes.map((change) => ('roomId' in change ? [change.at - NOW, change.occupied] : change));
  expect(told).toEqual([
    [1, true],
    [5, false],
    [7, true],
    [12, false],
  ]);
  expect(await roomsToldOccupied(db, '', 10)).toEqual([]);
  await db('rooms_told').update({ version: Date.now() - 25 * 3_600_000 });
  expect(await dropVacatedRooms(db, 10)).toBe(1);
});

describe('an erased user', () => {
  test('is gone from the feed but for the news of it, which goes soon and with it the cursors before it', async () => {
    await recordChanges(db, [entry('gone', NOW + 1), entry('stays', NOW + 1)]);
    await positionChanges(db, 1000);
    await recordChanges(db, [entry('gone', NOW + 2)]);
    await eraseUser(db, 'gone', NOW + 3);
    await eraseUser(db, 'gone', NOW + 3);
    await positionChanges(db, 1000);
    expect(await readOn()).toEqual(['stays 1', 'gone 3']);
    const page = await changesAfter(db, begin, 100);
    expect(page.changes.at(-1)).toMatchObject({ cause: 'erased', status: 'inactive', lastSeen: null });

    expect(await dropErasuresFromFeed(db, 30_000)).toBe(0);
    expect(await dropErasuresFromFeed(db, 0)).toBe(1);
    expect(await readOn()).toBe('gone');
    expect(await readOn(page.next)).toEqual([]);
    for (const table of ['changes', 'changes_arriving']) {
      expect(await db(table).where({ user_id: 'gone' })).toEqual([]);
    }
    expect(named(await changesLeft(db, begin, page.next.position))).toEqual([]);
  });

  test('makes no news where nobody knew them', async () => {
    await eraseUser(db, 'nobody', NOW);
    expect(await positionChanges(db, 1000)).toBe(0);
  });

  test('who comes back stands behind it', async () => {
    await recordChanges(db, [entry('back', NOW + 1)]);
    await eraseUser(db, 'back', NOW + 2);
    await recordChanges(db, [entry('back', NOW + 3)]);
    await positionChanges(db, 1000);
    expect(await readOn()).toEqual(['back 2', 'back 3']);
  });
});

describe('a cursor', () => {
  test('of another feed, or of a time that this one does not know of, is too old', async () => {
    expect(await readOn({ feed: '00000000', position: begin.position })).toBe('gone');
    expect(await readOn({ ...begin, position: begin.position + 1 })).toBe('gone');
    expect(await readOn()).toEqual([]);
  });

  test('is too old once changes were lost, whatever it had read', async () => {
    await markLoss(db);
    expect(await readOn()).toBe('gone');
    const { now } = await feedState(db);
    await recordChanges(db, [entry('after-loss', NOW)]);
    await positionChanges(db, 1000);
    expect(await readOn(now)).toEqual(['after-loss 0']);
  });
});

describe('what is dropped', () => {
  const old = NOW - 10 * 86_400_000;

  test('is the oldest, a part at a time and never one of what stands before something that stays', async () => {
    await db('changes').delete();
    await recordChanges(db, [entry('old-1', old), entry('old-2', old + 1), entry('new', NOW)]);
    await positionChanges(db, 1000);
    // Recorded late.
    await recordChanges(db, [entry('late', old)]);
    await positionChanges(db, 1000);
    const kept = { days: 7, rows: 1000 };
    expect(await dropChangesOfFeed(db, kept, 1)).toBe(1);
    expect(await readOn()).toBe('gone');
    expect(await readOn({ ...begin, position: begin.position + 1 })).toEqual([
      `old-2 ${old + 1 - NOW}`,
      'new 0',
      `late ${old - NOW}`,
    ]);
    expect(await dropChangesOfFeed(db, kept, 100)).toBe(1);
    expect(await dropChangesOfFeed(db, kept, 100)).toBe(0);
    expect(await readOn({ ...begin, position: begin.position + 2 })).toEqual(['new 0', `late ${old - NOW}`]);
  });

  test('is whatever is more than so many', async () => {
    await recordChanges(
      db,
      Array.from({ length: 10 }, (_, n) => entry('many', NOW + n)),
    );
    await positionChanges(db, 1000);
    await dropChangesOfFeed(db, { days: 7, rows: 4 }, 1000);
    expect(await readOn({ ...begin, position: begin.position + 6 })).toEqual([6, 7, 8, 9].map((n) => `many ${n}`));
    expect(await readOn({ ...begin, position: begin.position + 5 })).toBe('gone');
  });
});

test('what a receiver has taken is noted once, whoever comes too late', async () => {
  const at = (position: number) => ({ feed: 'f', position });
  expect(await takenUpTo(db, 'r')).toBeNull();
  expect(await noteTakenUpTo(db, 'r', null, at(3))).toBe(true);
  expect(await noteTakenUpTo(db, 'r', null, at(9))).toBe(false);
  expect(await noteTakenUpTo(db, 'r', at(3), at(5))).toBe(true);
  expect(await noteTakenUpTo(other, 'r', at(3), at(4))).toBe(false);
  expect(await takenUpTo(db, 'r')).toEqual(at(5));
});

test('how far the feed is behind the history, and a receiver behind the feed, is known by number and age', async () => {
  expect(await feedFigures(db, [])).toEqual({ arriving: { changes: 0, oldestMs: 0 }, receivers: [] });
  await noteTakenUpTo(db, 'behind', null, begin);
  await recordChanges(db, [entry('late', Date.now() - 60_000), entry('later', Date.now() - 30_000)]);
  const arriving = await feedFigures(db, ['behind']);
  expect(arriving).toMatchObject({ arriving: { changes: 2 }, receivers: [{ behind: 0, oldestMs: 0 }] });
  expect(arriving.arriving.oldestMs / 1000).toBeCloseTo(60, -1);

  await positionChanges(db, 1000);
  const { now } = await feedState(db);
  const behind = await feedFigures(db, ['behind', 'never heard of']);
  const [known, stranger] = ['behind', 'never heard of'].map((one) =>
    behind.receivers.find(({ receiver }) => receiver === one),
  );
  expect(behind).toMatchObject({ arriving: { changes: 0, oldestMs: 0 } });
  expect(known).toMatchObject({ behind: 2 });
  expect((known?.oldestMs ?? 0) / 1000).toBeCloseTo(60, -1);
  expect(known?.takenAt).toBeGreaterThan(Date.now() - 60_000);
  await noteTakenUpTo(db, 'behind', begin, now);
  expect((await feedFigures(db, ['behind'])).receivers).toMatchObject([{ behind: 0, oldestMs: 0 }]);
  // One that was never heard of has all that is kept before it.
  expect(stranger).toMatchObject({ takenAt: null });
  expect(stranger?.behind).toBeGreaterThanOrEqual(2);
});
