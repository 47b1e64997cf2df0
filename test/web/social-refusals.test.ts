import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectPostgres } from '../../src/postgres/connect.ts';
import { Profiles } from '../../src/usecases/profiles.ts';
import { Social } from '../../src/usecases/social.ts';
import { openWorld, service } from './rest-world.ts';
import { openSocialWorld, refused, type SocialWorld } from './social-world.ts';

let world: SocialWorld;
beforeAll(async () => {
  world = await openSocialWorld('social refusals');
});
afterAll(() => world?.close());

type Method = 'GET' | 'PUT' | 'PATCH' | 'DELETE';

/** Every route, whom it is for beside a service with the right, and what it needs in its body. */
const routes: { method: Method; url: string; self: boolean; body?: object }[] = [
  { method: 'GET', url: '/users/ada', self: true },
  { method: 'PUT', url: '/users/ada', self: true, body: { displayName: 'Ada' } },
  { method: 'GET', url: '/users/ada/friends', self: true },
  { method: 'PUT', url: '/users/ada/friends/bob', self: false },
  { method: 'PATCH', url: '/users/ada/friends/bob', self: true, body: { alert: 'once' } },
  { method: 'DELETE', url: '/users/ada/friends/bob', self: true },
  { method: 'GET', url: '/users/ada/settings', self: true },
  { method: 'PUT', url: '/users/ada/settings', self: true, body: { alertFriends: false } },
  { method: 'GET', url: '/users/ada/blocks', self: true },
  { method: 'PUT', url: '/users/ada/blocks/bob', self: true },
  { method: 'DELETE', url: '/users/ada/blocks/bob', self: true },
];

describe.each(routes)('$method $url', ({ method, url, self, body }) => {
  const request = { method, url, ...(body && { payload: body }) };
  const right = method === 'GET' ? 'read' : 'write';
  const answers = async (scopes: string) => {
    await world.host('PUT', '/users/ada/friends/bob');
    return (await world.askWith(scopes, request)).statusCode;
  };

  test('needs a token, before anything is said of the request', async () => {
    const answer = await world.askWith(null, { ...request, url: url.replace('ada', '!') });
    expect([answer.statusCode, answer.json().code]).toEqual([401, 'UNAUTHENTICATED']);
  });

  test(`is for ${self ? 'the user and ' : ''}services with presence:${right}`, async () => {
    await world.host('PUT', '/users/ada/friends/bob');
    expect(refused(await world.as('eve', method, url, body))).toEqual([403, 'FORBIDDEN']);
    expect(refused(await world.as('bob', method, url, body))).toEqual([403, 'FORBIDDEN']);
    expect((await world.as('ada', method, url, body))[0] < 300).toBe(self);
    expect(await answers('presence:write')).toBeLessThan(300);
    expect(await answers('presence:read')).toBe(right === 'read' ? 200 : 403);
    expect(await answers('presence:other')).toBe(403);
  });

  test('refuses what is no user id, before it asks whose it is', async () => {
    for (const bad of ['a%20b', 'ada%2F', 'x'.repeat(129), '%E2%80%AE']) {
      expect(refused(await world.as('eve', method, url.replace('ada', bad), body))).toEqual([400, 'INVALID_USER_ID']);
      if (url.endsWith('/bob')) {
        expect(refused(await world.as('eve', method, url.replace('bob', bad), body))).toEqual([400, 'INVALID_USER_ID']);
      }
    }
  });

  test('takes ids of every allowed letter, and as long as they may be', async () => {
    for (const id of ['a:b|c~d@e+f', 'x'.repeat(128), '__proto__', 'null']) {
      const at = url.replace('ada', encodeURIComponent(id));
      if (method === 'GET' && at.split('/').length === 3) await world.host('PUT', at, {});
      if (method === 'PATCH') await world.host('PUT', at);
      expect((await world.host(method, at, body))[0]).toBeLessThan(300);
    }
  });
});

test.each([
  ['PUT', '/users/ada/settings', {}],
  ['PUT', '/users/ada/settings', { visibility: 'strangers' }],
  ['PUT', '/users/ada/settings', { visibility: null }],
  ['PUT', '/users/ada/settings', { alertFriends: 'yes' }],
  ['PUT', '/users/ada/settings', { color: 'green' }],
  ['PUT', '/users/ada/settings', undefined],
  ['PUT', '/users/ada', undefined],
  ['PATCH', '/users/ada/friends/bob', { alert: 'often' }],
  ['PATCH', '/users/ada/friends/bob', {}],
  ['PATCH', '/users/ada/friends/bob', undefined],
] as const)('%s %s with %o is refused before it is asked whose it is', async (method, url, body) => {
  expect(refused(await world.as('eve', method, url, body))).toEqual([400, 'INVALID_REQUEST']);
});

test('without PostgreSQL nothing is guessed and nothing is promised', async () => {
  const { presence, stores } = world;
  const db = connectPostgres({ databaseUrl: 'postgres://127.0.0.1:1/nowhere', databaseSsl: 'by-url' });
  const social = new Social({ ...stores, db }, presence);
  await world.comes('ada');
  const { app, ask } = await openWorld({}, { presence, social, profiles: new Profiles({ ...stores, db }, presence) });
  for (const { method, url, body } of routes) {
    const answer = await ask(await service('presence:write'), { method, url, ...(body && { payload: body }) });
    expect([method, url, answer.statusCode, answer.json().code]).toEqual([method, url, 503, 'UNAVAILABLE']);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  }
  await app.close();
  await db.destroy();
});
