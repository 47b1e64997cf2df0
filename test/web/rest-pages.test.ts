import { Queue } from 'bullmq';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { dereferenced } from '../support/openapi.ts';
import { openWorld, sign, type World } from './rest-world.ts';

const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` });

/** The addresses of scripts and styles in a page that stands at `path`. */
function assetsOf(page: string, path: string): string[] {
  const base = /<base href="([^"]+)"/.exec(page)?.[1] ?? path;
  return [...page.matchAll(/<(?:script|link)[^>]* (?:src|href)="([^"]+)"/g)].map(([, address = '']) =>
    new URL(address, `http://rollcall.test${base}`).href.replace('http://rollcall.test', ''),
  );
}

async function expectWorkingPage(app: FastifyInstance, path: string, headers = {}): Promise<void> {
  const page = await app.inject({ url: path, headers });
  expect(page.statusCode).toBe(200);
  expect(page.headers['content-type']).toMatch(/^text\/html/);
  // Only an empty script-src exception would let inline code in: there must be none in need of it.
  expect(page.headers['content-security-policy']).toContain("script-src 'self';");
  expect(page.body).not.toMatch(/<script(?![^>]*( src=|type="application\/json"))/);
  const assets = assetsOf(page.body, path);
  expect(assets.length).toBeGreaterThan(3);
  for (const url of assets) {
    expect(url).toMatch(/^\//);
    expect([url, (await app.inject({ url, headers })).statusCode]).toEqual([url, 200]);
  }
}

describe('the documentation', () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
  });
  afterAll(() => world.app.close());

  test.each(['/docs', '/docs/'])('is a page that works at %s', async (path) => {
    await expectWorkingPage(world.app, path);
  });

  test('describes every route, from the schemas that check it', async () => {
    const answer = await world.app.inject('/docs/json');
    expect(answer.statusCode).toBe(200);
    const { openapi, paths, components } = dereferenced(answer.json());
    expect(openapi).toBe('3.1.0');
    expect(Object.entries<object>(paths).flatMap(([path, item]) => Object.keys(item).map((verb) => `${verb} ${path}`)))
      // The order is that of the source, which nobody relies on.
      .toEqual(expect.arrayContaining([...DESCRIBED]));
    expect(Object.keys(paths)).toHaveLength(new Set(DESCRIBED.map((route) => route.split(' ')[1])).size);
    const query = paths['/users/status/query'].post.requestBody.content['application/json'].schema;
    expect(query.properties.userIds).toMatchObject({ type: 'array', minItems: 1, maxItems: 1000 });
    expect(paths['/users/{id}/status'].get.responses['404']).toBeDefined();
    expect(components.securitySchemes.bearer).toMatchObject({ type: 'http', scheme: 'bearer' });
  });

  test('says which routes need a token', async () => {
    const { paths } = (await world.app.inject('/docs/json')).json();
    expect(paths['/users/{id}/status'].get.security).toEqual([{ bearer: [] }]);
    expect(paths['/users/logout'].post.security).toEqual([{ bearer: [] }]);
    expect(paths['/healthz'].get.security).toEqual([]);
    expect(paths['/readyz'].get.security).toEqual([]);
  });
});

const DESCRIBED = [
  'get /users/{id}/status',
  'post /users/status',
  'post /users/status/query',
  'post /users/logout',
  'get /users/{id}/sessions',
  'put /users/{id}/leases/{name}',
  'delete /users/{id}/leases/{name}',
  'post /leases/renew',
  'get /audit',
  'get /users/{id}/export',
  'get /events',
  'post /reach',
  'get /users/{id}/detail',
  'put /users/{id}/detail',
  'delete /users/{id}/detail',
  'put /users/{id}/detail/{source}',
  'delete /users/{id}/detail/{source}',
  'get /users/{id}',
  'put /users/{id}',
  'delete /users/{id}',
  'get /users/{id}/friends',
  'put /users/{id}/friends/{friendId}',
  'delete /users/{id}/friends/{friendId}',
  'patch /users/{id}/friends/{friendId}',
  'get /users/{id}/blocks',
  'put /users/{id}/blocks/{blockedId}',
  'delete /users/{id}/blocks/{blockedId}',
  'get /users/{id}/settings',
  'put /users/{id}/settings',
  'delete /users/{id}/sessions/{sessionId}',
  'get /users/{id}/history',
  'get /users/{id}/activity',
  'get /analytics/active',
  'get /analytics/active-users',
  'get /analytics/timeline',
  'put /users/{id}/push-subscriptions',
  'delete /users/{id}/push-subscriptions',
  'get /push/public-key',
  'get /changes',
  'put /conversations/{id}/members/{userId}',
  'delete /conversations/{id}/members/{userId}',
  'get /rooms',
  'get /rooms/{id}',
  'post /rooms/counts',
  'get /users/{id}/rooms',
  'delete /rooms/{id}/users/{userId}',
  'get /healthz',
  'get /readyz',
];

describe('the page at /', () => {
  test('says what answers here and leads to the API, to health and, where there are any, to the operator’s pages', async () => {
    for (const [settings, forOperators] of [
      [{}, []],
      [{ ADMIN_PASSWORD: 'correct horse' }, ['/admin', '/admin/queues', '/metrics']],
    ] as const) {
      const { app } = await openWorld(settings);
      const page = await app.inject('/');
      expect(page.statusCode).toBe(200);
      expect(page.headers['content-type']).toMatch(/^text\/html/);
      expect(page.body).toContain('presence service');
      // Relative: below a path of a proxy they lead to the same.
      const links = [...page.body.matchAll(/ href="([^"]+)"/g)]
        .map(([, address = '']) => address)
        .filter((address) => address !== 'data:,');
      expect(links.map((address) => `/${address}`)).toEqual([
        '/docs',
        '/docs/events',
        '/healthz',
        '/readyz',
        ...forOperators,
      ]);
      for (const url of links) {
        const { statusCode } = await app.inject({ url: `/${url}`, headers: basic('admin:correct horse') });
        expect([url, statusCode]).toEqual([url, 200]);
      }
      expect((await app.inject('/index.html')).statusCode).toBe(404);
      await app.close();
    }
  });

  test('is another’s where a process serves one of its own, as the demo does', async () => {
    const { app } = await openWorld({}, { extraRoutes: (own) => void own.get('/', async () => 'the demo') });
    expect((await app.inject('/')).body).toBe('the demo');
    await app.close();
  });
});

describe('the board', () => {
  const operator = basic('admin:correct horse');
  let world: World;
  let queue: Queue;
  beforeAll(async () => {
    const { hostname: host, port } = new URL(inject('sharedStores').redisUrl);
    queue = new Queue('timeouts', { connection: { host, port: Number(port) }, prefix: `board_${process.pid}` });
    await queue.add('check', { userId: 'ada' }, { delay: 60_000, jobId: 'check-ada' });
    world = await openWorld({ ADMIN_PASSWORD: 'correct horse' }, { boardQueues: [queue] });
  });
  afterAll(async () => {
    await world.app.close();
    await queue.close();
  });

  test.each(['/admin/queues', '/admin/queues/'])('is a page that works at %s', async (path) => {
    await expectWorkingPage(world.app, path, operator);
  });

  test('shows the queues and their jobs', async () => {
    const url = '/admin/queues/api/queues?activeQueue=timeouts&status=delayed';
    const answer = await world.app.inject({ url, headers: operator });
    expect(answer.statusCode).toBe(200);
    expect(answer.json().queues[0]).toMatchObject({ name: 'timeouts', readOnlyMode: true, counts: { delayed: 1 } });
    expect(answer.json().queues[0].jobs[0]).toMatchObject({ id: 'check-ada', data: { userId: 'ada' } });
  });

  test.each([
    ['nobody', {}],
    ['a wrong password', basic('admin:wrong horse')],
    ['a longer password', basic('admin:correct horse ')],
    ['another user', basic('root:correct horse')],
    ['no password', basic('admin')],
    ['nonsense', { authorization: 'Basic !!!' }],
  ])('asks for the password: %s', async (_who, headers) => {
    for (const url of ['/admin/queues', '/admin/queues/api/queues', '/admin/queues/static/favicon.ico']) {
      const answer = await world.app.inject({ url, headers });
      expect(answer.statusCode).toBe(401);
      expect(answer.headers['www-authenticate']).toMatch(/^Basic /);
      expect(answer.json()).toMatchObject({ statusCode: 401, code: 'UNAUTHENTICATED' });
    }
  });

  test('a token opens nothing here', async () => {
    const token = await sign({ sub: 'backend', scope: 'presence:write' });
    expect((await world.ask({ token }, { url: '/admin/queues' })).statusCode).toBe(401);
  });

  test('nothing can be changed', async () => {
    const change = async (url: string) => {
      const answer = await world.app.inject({
        method: 'PUT',
        url: `/admin/queues/api/queues/${url}`,
        headers: operator,
      });
      return answer.statusCode;
    };
    expect(await change('timeouts/check-ada/promote')).toBe(405);
    expect(await change('timeouts/empty')).toBe(405);
    expect(await change('timeouts/pause')).toBe(405);
    await change('pause');
    expect(await queue.isPaused()).toBe(false);
    expect(await queue.getDelayedCount()).toBe(1);
  });

  test.each([
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { origin: 'https://evil.example' },
    { origin: 'null' },
  ])('another site cannot borrow the password: %o', async (headers) => {
    const url = '/admin/queues/api/queues/pause';
    const answer = await world.app.inject({ method: 'PUT', url, headers: { ...operator, ...headers } });
    expect(answer.statusCode).toBe(403);
    expect(answer.json().code).toBe('FORBIDDEN');
  });

  test('the own page may ask for changes, which the queue then refuses', async () => {
    const url = '/admin/queues/api/queues/timeouts/pause';
    const headers = {
      ...operator,
      host: 'rollcall.test',
      origin: 'http://rollcall.test',
      'sec-fetch-site': 'same-origin',
    };
    expect((await world.app.inject({ method: 'PUT', url, headers })).statusCode).toBe(405);
  });
});

describe('browsers', () => {
  test('of listed origins may ask, and read when to ask again', async () => {
    const { app } = await openWorld({ CORS_ORIGINS: 'https://chat.example' });
    const origin = 'https://chat.example';
    const preflight = await app.inject({
      method: 'OPTIONS',
      url: '/users/ada/sessions/phone',
      headers: { origin, 'access-control-request-method': 'DELETE', 'access-control-request-headers': 'authorization' },
    });
    expect(preflight.statusCode).toBe(204);
    expect(preflight.headers['access-control-allow-origin']).toBe(origin);
    expect(preflight.headers['access-control-allow-methods']).toContain('DELETE');
    expect(preflight.headers['access-control-allow-headers']).toBe('authorization');
    const refused = await app.inject({ url: '/users/ada/status', headers: { origin } });
    expect(refused.statusCode).toBe(401);
    expect(refused.headers['access-control-allow-origin']).toBe(origin);
    expect(refused.headers['access-control-expose-headers']).toBe('Retry-After');
    const foreign = await app.inject({ url: '/healthz', headers: { origin: 'https://evil.example' } });
    expect(foreign.headers['access-control-allow-origin']).not.toBe('https://evil.example');
    await app.close();
  });

  test('of other sites get no leave where no origin is listed', async () => {
    const { app } = await openWorld();
    const answer = await app.inject({ url: '/healthz', headers: { origin: 'https://chat.example' } });
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
    expect(answer.headers['x-content-type-options']).toBe('nosniff');
    expect(answer.headers['content-security-policy']).not.toContain('upgrade-insecure-requests');
    await app.close();
  });
});
