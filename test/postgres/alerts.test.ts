import type { Knex } from 'knex';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { askersOf, claimAlerts, friendToTell, usersAskedAbout } from '../../src/postgres/alerts.ts';
import { connectPostgres } from '../../src/postgres/connect.ts';
import { saveDetailSource } from '../../src/postgres/detail-sources.ts';
import { type Alert, alertOf, befriend } from '../support/alerts-world.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';

const NOON = Date.parse('2026-03-01T12:00:00.123Z');
const COOLDOWN_MS = 60_000;
let stores: TestStores;
let db: Knex;
/** Everybody in a test asks about a friend of that test's own. */
let friend = '';
let tests = 0;

beforeAll(async () => {
  stores = await openTestStores('alerts');
  db = connectPostgres({ databaseUrl: stores.databaseUrl, databaseSsl: 'by-url' });
});
beforeEach(() => {
  friend = `friend-${++tests}`;
});
afterAll(async () => {
  await db?.destroy();
  await stores?.close();
});

const asks = (asker: string, alert: Alert) => befriend(db, asker, friend, alert);
const claim = (askerIds: string[], { at = NOON, again = false, cooldownMs = COOLDOWN_MS } = {}) =>
  claimAlerts(db, { userId: friend, at }, { askerIds, cooldownMs, again }).then((claimed) => claimed.sort());
const askers = (after = '', limit = 100) =>
  askersOf(db, { userId: friend, at: NOON }, { cooldownMs: COOLDOWN_MS, after, limit });

describe('a claim', () => {
  test('is granted once: not again for the same activation, and not for the next ones within the cool-down', async () => {
    await asks('ada', 'always');
    expect(await claim(['ada', 'stranger'])).toEqual(['ada']);
    for (const at of [NOON, NOON + 1, NOON + COOLDOWN_MS - 1, NOON - 1])
      expect(await claim(['ada'], { at })).toEqual([]);
    expect(await claim(['ada'], { at: NOON + COOLDOWN_MS })).toEqual(['ada']);
    expect(await alertOf(db, 'ada', friend)).toBe('always');
  });

  test('is granted once for the same activation even where there is no cool-down', async () => {
    await asks('ada', 'always');
    expect(await claim(['ada'], { cooldownMs: 0 })).toEqual(['ada']);
    expect(await claim(['ada'], { cooldownMs: 0 })).toEqual([]);
    expect(await claim(['ada'], { cooldownMs: 0, at: NOON + 1 })).toEqual(['ada']);
  });

  test('is granted to one of many who make it at the same time', async () => {
    for (const asker of ['ada', 'bob', 'cyd']) await asks(asker, 'always');
    const claims = await Promise.all(Array.from({ length: 8 }, () => claim(['cyd', 'ada', 'bob'])));
    expect(claims.flat().sort()).toEqual(['ada', 'bob', 'cyd']);
  });

  test('uses up `once`, and never takes from those who did not ask', async () => {
    await asks('ada', 'once');
    await asks('bob', 'never');
    expect(await claim(['ada', 'bob'])).toEqual(['ada']);
    expect([await alertOf(db, 'ada', friend), await alertOf(db, 'bob', friend)]).toEqual(['never', 'never']);
    expect(await claim(['ada'], { at: NOON + 2 * COOLDOWN_MS })).toEqual([]);
  });

  test('can be made good by the same activation alone', async () => {
    await asks('ada', 'once');
    await asks('bob', 'always');
    expect(await claim(['ada'])).toEqual(['ada']);
    expect(await claim(['ada', 'bob'], { again: true })).toEqual(['ada', 'bob']);
    expect(await claim(['ada', 'bob'], { again: true, at: NOON + 1 })).toEqual([]);
    await db('blocks').insert({ user_id: friend, blocked_id: 'ada' });
    expect(await claim(['ada', 'bob'], { again: true })).toEqual(['bob']);
  });
});

describe('who may hear', () => {
  const everywhere = async (asker: string) => ({
    asked: (await usersAskedAbout(db, [friend, 'somebody-else'])).has(friend),
    told: (await askers()).map((found) => found.userId).includes(asker),
    named: (await friendToTell(db, asker, friend)) !== null,
    claimed: (await claim([asker])).includes(asker),
  });
  const YES = { asked: true, told: true, named: true, claimed: true };
  const NO = { asked: false, told: false, named: false, claimed: false };

  test.each([
    ['without any setting', {}, YES],
    ['with everything open', { visibility: 'everyone', last_seen_visibility: 'nobody', alert_friends: true }, YES],
    ['of one who is shown to friends', { visibility: 'friends' }, YES],
    ['of one who is shown to nobody', { visibility: 'nobody' }, NO],
    ['of one who does not want that', { alert_friends: false }, NO],
  ])('%s', async (_, settings, expected) => {
    await asks('ada', 'once');
    if (Object.keys(settings).length > 0) await db('user_settings').insert({ user_id: friend, ...settings });
    expect(await everywhere('ada')).toEqual(expected);
  });

  test.each(['asker', 'friend'])('nobody of somebody else once the %s has blocked the other', async (who) => {
    await asks('ada', 'once');
    const [from, to] = who === 'asker' ? ['ada', friend] : [friend, 'ada'];
    await db('blocks').insert({ user_id: from, blocked_id: to });
    expect(await everywhere('ada')).toEqual(NO);
  });

  test('nobody who is no friend, and a friend by name', async () => {
    expect(await friendToTell(db, 'ada', friend)).toBeNull();
    await asks('ada', 'never');
    expect(await friendToTell(db, 'ada', friend)).toEqual({ displayName: null, dnd: false });
    await db('users').insert({ id: friend, display_name: 'Grace' });
    expect(await friendToTell(db, 'ada', friend)).toEqual({ displayName: 'Grace', dnd: false });
  });

  test('page by page, with those who have a browser marked', async () => {
    for (const asker of ['cyd', 'ada', 'bob']) await asks(asker, 'always');
    await db('push_subscriptions').insert({ endpoint: `https://x/${friend}`, user_id: 'bob', p256dh: 'k', auth: 'a' });
    expect(await askers('', 2)).toEqual([
      { userId: 'ada', pushable: false },
      { userId: 'bob', pushable: true },
    ]);
    expect(await askers('bob', 2)).toEqual([{ userId: 'cyd', pushable: false }]);
    expect(await askers('cyd', 2)).toEqual([]);
  });

  test('by no Web Push while any source in force says that they want to be left alone, shown or not', async () => {
    await asks('dan', 'once');
    await db('push_subscriptions').insert({ endpoint: `https://x/${friend}`, user_id: 'dan', p256dh: 'k', auth: 'a' });
    const dan = async () => [
      (await askers('', 9)).find(({ userId }) => userId === 'dan')?.pushable,
      (await friendToTell(db, 'dan', friend))?.dnd,
    ];
    const order = ['call', 'manual', 'calendar'];
    await saveDetailSource(db, 'dan', { source: 'call', detail: { text: 'the strongest' } }, {}, order);
    expect(await dan()).toEqual([true, false]);
    await saveDetailSource(db, 'dan', { source: 'calendar', detail: { availability: 'dnd' } }, {}, order);
    expect(await dan()).toEqual([false, true]);
    await saveDetailSource(db, 'dan', { source: 'calendar', detail: { availability: 'dnd' } }, { lastsMs: 1 }, order);
    await expect.poll(dan).toEqual([true, false]);
  });
});
