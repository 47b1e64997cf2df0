import { createECDH, randomBytes } from 'node:crypto';
import type { InjectOptions } from 'fastify';
import type { Knex } from 'knex';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import webPush from 'web-push';
import { connectPostgres } from '../../src/postgres/connect.ts';
import { subscriptionsOf } from '../../src/postgres/push-subscriptions.ts';
import { Push } from '../../src/usecases/push.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';
import { openWorld, service, type World } from './rest-world.ts';

const { publicKey, privateKey } = webPush.generateVAPIDKeys();
const vapid = { publicKey, privateKey, subject: 'mailto:ops@example.com' };
let testStores: TestStores;
let db: Knex;
/** As it is set up, and without keys. */
let world: World;
let off: World;

beforeAll(async () => {
  testStores = await openTestStores('rest push');
  db = connectPostgres({ databaseUrl: testStores.databaseUrl, databaseSsl: 'by-url' });
  world = await openWorld({}, { push: new Push({ db }, { vapid, pushAllowPrivate: false }) });
  off = await openWorld({}, { push: new Push({ db }, { vapid: null, pushAllowPrivate: false }) });
});
afterAll(async () => {
  await world?.app.close();
  await off?.app.close();
  await db?.destroy();
  await testStores?.close();
});

function subscription(endpoint = 'https://push.example.net/wpush/v2/abc') {
  const pair = createECDH('prime256v1');
  pair.generateKeys();
  const keys = { p256dh: pair.getPublicKey().toString('base64url'), auth: randomBytes(16).toString('base64url') };
  return { endpoint, expirationTime: null, keys };
}

type Method = 'PUT' | 'DELETE';
const url = '/users/ada/push-subscriptions';
const send = (
  method: Method,
  payload: InjectOptions['payload'],
  who: Parameters<World['ask']>[0] = 'ada',
  at = world,
) => at.ask(who, { method, url, ...(payload === undefined ? {} : { payload }) });

test('a browser subscribes with the key, again after its keys have changed, and unsubscribes', async () => {
  const key = await world.ask('ada', { method: 'GET', url: '/push/public-key' });
  expect([key.statusCode, key.json()]).toEqual([200, { publicKey: vapid.publicKey }]);
  for (const body of [subscription(), subscription()]) {
    const answer = await send('PUT', body);
    expect([answer.statusCode, answer.body]).toEqual([204, '']);
    const { endpoint, keys } = body;
    expect(await subscriptionsOf(db, ['ada'])).toEqual([{ userId: 'ada', endpoint, ...keys }]);
  }
  // Of somebody else it cannot be taken away, and whether it was there is not told.
  const theirs = { method: 'DELETE' as const, url: '/users/bob/push-subscriptions' };
  const payload = { endpoint: subscription().endpoint };
  expect((await world.ask('bob', { ...theirs, payload })).statusCode).toBe(204);
  expect(await subscriptionsOf(db, ['ada'])).toHaveLength(1);
  for (let n = 0; n < 2; n++) expect((await send('DELETE', payload)).statusCode).toBe(204);
  expect(await subscriptionsOf(db, ['ada'])).toEqual([]);
});

test('keys with padding are taken, as some libraries write them', async () => {
  const { keys, ...rest } = subscription('https://push.example.net/padded');
  const padded = { ...rest, keys: { p256dh: `${keys.p256dh}=`, auth: `${keys.auth}==` } };
  expect((await send('PUT', padded, 'ada')).statusCode).toBe(204);
  const [kept] = await subscriptionsOf(db, ['ada']);
  expect({ p256dh: kept?.p256dh, auth: kept?.auth }).toEqual(keys);
  expect((await send('DELETE', { endpoint: rest.endpoint })).statusCode).toBe(204);
});

describe('refused are', () => {
  const { keys, endpoint } = subscription();
  test.each([
    ['nothing', undefined],
    ['no address', { keys }],
    ['no keys', { endpoint }],
    ['an address that is none', { endpoint: 'push', keys }],
    ['an address in the clear', { endpoint: 'http://push.example.net/abc', keys }],
    ['an address of another kind', { endpoint: 'javascript:alert(1)', keys }],
    ['an address of this machine', { endpoint: 'https://127.0.0.1:6379/', keys }],
    ['an address of the neighbours', { endpoint: 'https://[fd00::1]/', keys }],
    ['an address that is too long', { endpoint: `${endpoint}${'x'.repeat(2048)}`, keys }],
    ['a key that is too short', { endpoint, keys: { ...keys, p256dh: keys.p256dh.slice(1) } }],
    ['a key that lies on no curve', { endpoint, keys: { ...keys, p256dh: `BA${keys.p256dh.slice(2, -4)}AAAA` } }],
    ['a secret that is too long', { endpoint, keys: { ...keys, auth: `${keys.auth}aaaa` } }],
    ['keys that are no text', { endpoint, keys: { p256dh: 1, auth: [] } }],
  ])('%s, before it is asked who may', async (_, body) => {
    for (const who of ['ada', 'bob']) {
      const answer = await send('PUT', body, who);
      expect([answer.statusCode, answer.json().code]).toEqual([400, 'INVALID_REQUEST']);
    }
    expect((await send('PUT', body, null)).statusCode).toBe(401);
    expect(await subscriptionsOf(db, ['ada'])).toEqual([]);
  });

  test('others, services among them: a browser speaks for the one who uses it', async () => {
    for (const who of ['bob', await service('presence:write'), await service('presence:read')]) {
      for (const method of ['PUT', 'DELETE'] as const) {
        const answer = await send(method, subscription(), who);
        expect([answer.statusCode, answer.json().code]).toEqual([403, 'FORBIDDEN']);
      }
    }
    expect((await world.app.inject({ method: 'GET', url: '/push/public-key' })).statusCode).toBe(401);
    expect((await send('DELETE', { endpoint: 1 })).statusCode).toBe(400);
    expect((await send('DELETE', undefined)).statusCode).toBe(400);
  });

  test('all but goodbyes where push is not set up', async () => {
    const key = await off.ask('ada', { method: 'GET', url: '/push/public-key' });
    const put = await send('PUT', subscription(), 'ada', off);
    for (const answer of [key, put]) expect([answer.statusCode, answer.json().code]).toEqual([404, 'NOT_FOUND']);
    expect((await send('PUT', subscription(), 'bob', off)).statusCode).toBe(403);
    expect((await send('DELETE', { endpoint }, 'ada', off)).statusCode).toBe(204);
    expect(await subscriptionsOf(db, ['ada'])).toEqual([]);
  });
});

test('the document knows the routes', async () => {
  const { paths } = (await world.app.inject({ url: '/docs/json' })).json();
  expect(Object.keys(paths['/users/{id}/push-subscriptions'])).toEqual(['put', 'delete']);
  expect(paths['/push/public-key'].get.responses['200']).toBeDefined();
});
