import type { Knex } from 'knex';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectPostgres } from '../../src/postgres/connect.ts';
import {
  FAILURES_KEPT,
  noteGivenUp,
  noteMessageTaken,
  removeSubscription,
  SUBSCRIPTIONS_KEPT,
  saveSubscription,
  subscriptionsOf,
} from '../../src/postgres/push-subscriptions.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';

let stores: TestStores;
let db: Knex;
beforeAll(async () => {
  stores = await openTestStores('push subscriptions');
  db = connectPostgres({ databaseUrl: stores.databaseUrl, databaseSsl: 'by-url' });
});
afterAll(async () => {
  await db?.destroy();
  await stores?.close();
});

const at = (endpoint: string) => ({ endpoint, p256dh: `key of ${endpoint}`, auth: 'secret' });
const endpointsOf = async (userId: string) =>
  (await subscriptionsOf(db, [userId])).map((subscription) => subscription.endpoint).sort();

test('a subscription that comes again is one, with the keys it came with last', async () => {
  await saveSubscription(db, 'ada', at('https://a/1'));
  await saveSubscription(db, 'ada', { ...at('https://a/1'), auth: 'another' });
  expect(await subscriptionsOf(db, ['ada', 'nobody'])).toEqual([
    { userId: 'ada', endpoint: 'https://a/1', p256dh: 'key of https://a/1', auth: 'another' },
  ]);
});

test('a browser belongs to whoever signed in on it last', async () => {
  await saveSubscription(db, 'bob', at('https://b/shared'));
  await saveSubscription(db, 'cyd', at('https://b/shared'));
  expect(await endpointsOf('bob')).toEqual([]);
  expect(await endpointsOf('cyd')).toEqual(['https://b/shared']);
  // Who had it before cannot take it away.
  await removeSubscription(db, 'bob', 'https://b/shared');
  expect(await endpointsOf('cyd')).toEqual(['https://b/shared']);
  await removeSubscription(db, 'cyd', 'https://b/shared');
  expect(await endpointsOf('cyd')).toEqual([]);
});

test('beyond the limit the one that subscribed longest ago goes; subscribing again counts as new', async () => {
  const all = Array.from({ length: SUBSCRIPTIONS_KEPT + 2 }, (_, n) => `https://d/${String(n).padStart(2, '0')}`);
  for (const endpoint of all.slice(0, SUBSCRIPTIONS_KEPT)) await saveSubscription(db, 'dee', at(endpoint));
  await saveSubscription(db, 'dee', at(all[0] ?? ''));
  expect(await endpointsOf('dee')).toHaveLength(SUBSCRIPTIONS_KEPT);
  for (const endpoint of all.slice(SUBSCRIPTIONS_KEPT)) await saveSubscription(db, 'dee', at(endpoint));
  const kept = all.filter((_, n) => n !== 1 && n !== 2);
  expect(await endpointsOf('dee')).toEqual(kept);
  expect(await endpointsOf('ada')).toHaveLength(1);
});

describe('a subscription whose messages are given up, one after the other,', () => {
  async function fails(endpoint: string, times: number): Promise<boolean[]> {
    const gone: boolean[] = [];
    for (let n = 0; n < times; n++) gone.push(await noteGivenUp(db, 'eve', endpoint));
    return gone;
  }
  const nine = Array(FAILURES_KEPT - 1).fill(false);

  test('goes after ten where it never took one', async () => {
    await saveSubscription(db, 'eve', at('https://e/never'));
    await saveSubscription(db, 'eve', at('https://e/other'));
    expect(await fails('https://e/never', FAILURES_KEPT)).toEqual([...nine, true]);
    expect(await endpointsOf('eve')).toEqual(['https://e/other']);
    expect(await fails('https://e/never', 1)).toEqual([false]);
  });

  test('goes after ten and a day where it has taken some, for its push service may be away', async () => {
    await saveSubscription(db, 'eve', at('https://e/worked'));
    await noteMessageTaken(db, 'eve', 'https://e/worked');
    expect(await fails('https://e/worked', 3 * FAILURES_KEPT)).not.toContain(true);
    const yesterday = db.raw("now() - interval '1 day'");
    await db('push_subscriptions').where({ endpoint: 'https://e/worked' }).update({ failing_since: yesterday });
    expect(await fails('https://e/worked', 1)).toEqual([true]);
    expect(await endpointsOf('eve')).not.toContain('https://e/worked');
  });

  test.each([
    ['a message is taken', () => noteMessageTaken(db, 'eve', 'https://e/again')],
    ['it is subscribed again', () => saveSubscription(db, 'eve', at('https://e/again'))],
  ])('begins anew once %s', async (_, happens) => {
    await saveSubscription(db, 'eve', at('https://e/again'));
    expect(await fails('https://e/again', FAILURES_KEPT - 1)).toEqual(nine);
    await happens();
    expect(await fails('https://e/again', FAILURES_KEPT - 1)).toEqual(nine);
    expect(await endpointsOf('eve')).toContain('https://e/again');
  });

  test('is not somebody else’s to lose', async () => {
    await saveSubscription(db, 'fay', at('https://f/1'));
    expect(await fails('https://f/1', FAILURES_KEPT)).not.toContain(true);
    expect(await endpointsOf('fay')).toEqual(['https://f/1']);
  });
});
