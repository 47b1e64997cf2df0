import fc from 'fast-check';
import type { Knex } from 'knex';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectPostgres } from '../../src/postgres/connect.ts';
import { isConnectionError } from '../../src/postgres/errors.ts';
import { lastTransition, type RecordedEntry, recordChanges } from '../../src/postgres/history.ts';
import { loadStoredUsers, saveHidden, touchLastSeen } from '../../src/postgres/users.ts';
import type { Change } from '../../src/presence/change.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';

let stores: TestStores;
let db: Knex;

beforeAll(async () => {
  stores = await openTestStores('history');
  db = connectPostgres({ databaseUrl: stores.databaseUrl, databaseSsl: 'by-url' });
});

afterAll(async () => {
  await db.destroy();
  await stores.close();
});

const at = 1_732_441_234_567;

function entry(change: Partial<Change> & { userId: string }, rest: Partial<RecordedEntry> = {}): RecordedEntry {
  const whole: Change = { status: 'active', lastSeen: at, version: at, at, cause: 'connect', ...change };
  return { change: whole, clearsHidden: false, transition: true, ...rest };
}

async function storedUserOf(userId: string) {
  return (await loadStoredUsers(db, [userId])).get(userId);
}

/** Everything PostgreSQL holds of these users, for comparing two states of it. */
async function everythingOf(userIds: string[]) {
  const users = await db('users').whereIn('id', userIds).orderBy('id');
  const transitions = await db('status_transitions').whereIn('user_id', userIds).orderBy(['user_id', 'version']);
  return { users: users.map(({ created_at: _, ...user }) => user), transitions };
}

describe('a batch of changes', () => {
  test('makes the user known and leaves the transition in the history, to the millisecond', async () => {
    await recordChanges(db, [entry({ userId: 'ann', at: at + 1, lastSeen: at, version: at + 1 })]);
    expect(await storedUserOf('ann')).toEqual({
      version: at + 1,
      lastSeen: at,
      status: 'active',
      hidden: null,
      sources: [],
      detailRevision: 0,
      privacyRevision: 0,
    });
    expect(await lastTransition(db, 'ann')).toEqual({
      version: at + 1,
      at: at + 1,
      status: 'active',
      cause: 'connect',
      lastSeen: at,
    });
  });

  test('of nobody, or of a user without a history, is no trouble', async () => {
    await recordChanges(db, []);
    expect(await lastTransition(db, 'never-seen')).toBeNull();
  });

  test('may hold several changes of one user, in any order: the newest version tells the status', async () => {
    await recordChanges(db, [
      entry({ userId: 'bob', version: 3, status: 'active', lastSeen: at + 3 }),
      entry({ userId: 'bob', version: 4, status: 'inactive', lastSeen: at + 2, cause: 'timeout' }),
      entry({ userId: 'bob', version: 1, status: 'active', lastSeen: null }),
    ]);
    expect(await storedUserOf('bob')).toMatchObject({ version: 4, lastSeen: at + 3, status: 'inactive' });
    expect(await lastTransition(db, 'bob')).toMatchObject({ version: 4, cause: 'timeout', lastSeen: at + 2 });
    expect((await everythingOf(['bob'])).transitions).toHaveLength(3);
  });

  test('that says nothing new about the status stays out of the history', async () => {
    await recordChanges(db, [entry({ userId: 'cid', cause: 'restored' }, { transition: false })]);
    expect(await storedUserOf('cid')).toMatchObject({ status: 'active', version: at });
    expect(await lastTransition(db, 'cid')).toBeNull();
  });

  test('of somebody who was never seen has no last seen', async () => {
    await recordChanges(db, [entry({ userId: 'dan', lastSeen: null, status: 'inactive', cause: 'manual' })]);
    expect((await storedUserOf('dan'))?.lastSeen).toBeNull();
    expect((await lastTransition(db, 'dan'))?.lastSeen).toBeNull();
  });

  test('fills the name and the picture once and overwrites neither', async () => {
    await recordChanges(db, [
      entry({ userId: 'eve', version: 1 }, { claims: { name: 'Eve' } }),
      entry({ userId: 'eve', version: 2 }, { claims: { name: 'Mallory', picture: 'https://x.example/e.png' } }),
    ]);
    await recordChanges(db, [entry({ userId: 'eve', version: 3 }, { claims: { name: 'Trudy', picture: 'other' } })]);
    const [user] = (await everythingOf(['eve'])).users;
    expect(user).toMatchObject({ display_name: 'Eve', avatar_url: 'https://x.example/e.png' });
  });

  test('never moves last seen back, also where a later change knows of none', async () => {
    await touchLastSeen(db, [{ userId: 'fay', lastSeen: at + 10 }]);
    await recordChanges(db, [entry({ userId: 'fay', lastSeen: at, version: 1 })]);
    await recordChanges(db, [entry({ userId: 'fay', lastSeen: null, version: 2, status: 'inactive' })]);
    expect(await storedUserOf('fay')).toMatchObject({ lastSeen: at + 10, version: 2, status: 'inactive' });
  });

  test('is written whole or not at all, and a bad row is blamed on its data', async () => {
    const bad = entry({ userId: 'nul' }, { claims: { name: 'a\u0000b' } });
    const attempt = recordChanges(db, [entry({ userId: 'gus' }), bad]);
    const error: unknown = await attempt.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Error);
    expect(isConnectionError(error)).toBe(false);
    expect(await storedUserOf('gus')).toBeUndefined();
  });

  test('ends appearing inactive, unless that was chosen anew afterwards', async () => {
    await saveHidden(db, 'hal', { expiresInMs: 3_600_000, setAt: at });
    await recordChanges(db, [entry({ userId: 'hal', version: 1, at: at + 9 })]);
    expect((await storedUserOf('hal'))?.hidden).not.toBeNull();
    await recordChanges(db, [entry({ userId: 'hal', version: 2, at: at - 1 }, { clearsHidden: true })]);
    expect((await storedUserOf('hal'))?.hidden).not.toBeNull();
    await recordChanges(db, [entry({ userId: 'hal', version: 3, at }, { clearsHidden: true })]);
    expect((await storedUserOf('hal'))?.hidden).toBeNull();
  });

  test('that ended appearing inactive is not undone by an older choice that comes late', async () => {
    await recordChanges(db, [entry({ userId: 'ida', at: at + 5 }, { clearsHidden: true })]);
    await saveHidden(db, 'ida', { expiresInMs: null, setAt: at + 4 });
    expect((await storedUserOf('ida'))?.hidden).toBeNull();
    await saveHidden(db, 'ida', { expiresInMs: null, setAt: at + 6 });
    expect((await storedUserOf('ida'))?.hidden).toEqual({ remainingMs: null });
  });
});

describe('in any order, twice and at once', () => {
  /** Every version of a user is one change, as the outbox has it; statuses and times follow from it. */
  const batches = fc.array(
    fc.array(
      fc.record({
        user: fc.integer({ min: 0, max: 2 }),
        version: fc.integer({ min: 1, max: 6 }),
        clearsHidden: fc.boolean(),
      }),
      { minLength: 1, maxLength: 5 },
    ),
    { minLength: 1, maxLength: 5 },
  );

  test('the end is the same, however batches are cut, repeated and mixed', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(batches, fc.infiniteStream(fc.nat()), async (plan, chance) => {
        run += 1;
        const make = (prefix: string) =>
          plan.map((batch) =>
            batch.map(({ user, version }) => {
              const change: Change = {
                userId: `${prefix}-${run}-${user}`,
                status: version % 2 === 1 ? 'active' : 'inactive',
                lastSeen: version === 1 ? null : at + ((version * 7) % 5),
                version,
                at: at + version,
                cause: 'heartbeat',
              };
              return { change, clearsHidden: version % 3 === 0, transition: version !== 5 };
            }),
          );
        const straight = make('s');
        const mixed = make('m');
        await recordChanges(db, straight.flat());
        const shuffled = [...mixed, ...mixed]
          .map((batch) => ({ batch, rank: chance.next().value ?? 0 }))
          .sort((a, b) => a.rank - b.rank);
        for (const { batch } of shuffled) await recordChanges(db, batch);
        const strip = (text: string) => JSON.parse(text.replaceAll(/"[sm]-(\d+-\d)"/g, '"$1"'));
        const ids = (prefix: string) => [0, 1, 2].map((user) => `${prefix}-${run}-${user}`);
        const [expected, got] = [await everythingOf(ids('s')), await everythingOf(ids('m'))];
        expect(strip(JSON.stringify(got))).toEqual(strip(JSON.stringify(expected)));
      }),
      { numRuns: 40 },
    );
  });

  test('batches with the same users at the same time never stand in each other’s way', async () => {
    const users = Array.from({ length: 60 }, (_, index) => `busy-${index}`);
    const batchOf = (round: number) => {
      const order = round % 2 === 0 ? users : users.toReversed();
      return order.map((userId, index) => entry({ userId, version: round + 1, lastSeen: at + round + (index % 3) }));
    };
    await Promise.all(
      Array.from({ length: 30 }, (_, round) =>
        round % 3 === 2
          ? touchLastSeen(
              db,
              users.toReversed().map((userId) => ({ userId, lastSeen: at + round })),
            )
          : recordChanges(db, batchOf(round)),
      ),
    );
    const memories = await loadStoredUsers(db, users);
    for (const userId of users) expect(memories.get(userId)?.version).toBe(29);
  });

  test('a batch of a thousand changes takes well under a second', async () => {
    const batch = Array.from({ length: 1000 }, (_, index) => entry({ userId: `many-${index}` }));
    const begun = performance.now();
    await recordChanges(db, batch);
    await recordChanges(db, batch);
    expect(performance.now() - begun).toBeLessThan(2000);
    expect((await everythingOf(['many-999'])).transitions).toHaveLength(1);
  });
});
