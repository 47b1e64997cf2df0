import type { Knex } from 'knex';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectPostgres } from '../../src/postgres/connect.ts';
import {
  removeSubscription,
  SUBSCRIPTIONS_KEPT,
  saveSubscription,
  subscriptionsOf,
} from '../../src/postgres/push-subscriptions.ts';
import { openStores, type Stores } from '../support/stores.ts';

let stores: Stores;
let db: Knex;
beforeAll(async () => {
  stores = await openStores('push subscriptions');
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
