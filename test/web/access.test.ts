import type { InjectOptions } from 'fastify';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RouteAccess } from '../../src/web/docs/docs.ts';
import { openWorld, service, sign, type World } from './rest-world.ts';

/** Whom everybody may ask, with no token at all. */
const OPEN = ['get /healthz', 'get /readyz'];

let world: World;
let routes: Described[];
beforeAll(async () => {
  world = await openWorld();
  world.people.add('ada');
  const { paths } = (await world.app.inject('/docs/json')).json();
  routes = Object.entries<Record<string, Route>>(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([verb, route]) => ({ name: `${verb} ${path}`, verb, path, route })),
  );
});
afterAll(() => world?.app.close());

interface Route {
  security?: object[];
  'x-access'?: RouteAccess;
  parameters?: { name: string; in: string; required?: boolean }[];
  requestBody?: { content: Record<string, Body> };
}

interface Body {
  schema: { properties?: object };
  example?: object;
  examples?: Record<string, { value: object }>;
}

interface Described {
  name: string;
  verb: string;
  path: string;
  route: Route;
}

/** A request that is right in its shape, and concerns ada. */
function aboutAda({ verb, path, route }: Described): InjectOptions {
  const url = path.replaceAll(/\{(\w+)\}/g, (_, name) => ({ id: 'ada', source: 'manual' })[name as string] ?? 'bob');
  const body = route.requestBody?.content['application/json'];
  const example = body?.example ?? Object.values(body?.examples ?? {})[0]?.value;
  const named = route['x-access']?.who === 'self' && !path.includes('{id}') ? { userId: 'ada' } : {};
  const payload = body && { ...example, ...named };
  const asked = route.parameters?.filter((one) => one.in === 'query' && one.required) ?? [];
  const query = Object.fromEntries(asked.map((one) => [one.name, 'bob']));
  return { method: verb.toUpperCase() as 'GET', url, query, ...(payload && { payload }) };
}

type Verdict = 'answered' | 'no token' | 'forbidden';

/** A 503 or a 404 of what is asked about comes after the question whether one may ask. */
async function asked(who: Parameters<World['ask']>[0], described: Described): Promise<Verdict | string> {
  const { statusCode, body } = await world.ask(who, aboutAda(described));
  const code = statusCode < 300 ? 'done' : JSON.parse(body).code;
  if (code === 'UNAUTHENTICATED') return 'no token';
  if (code === 'FORBIDDEN') return 'forbidden';
  return ['done', 'UNAVAILABLE', 'USER_NOT_FOUND', 'SESSION_NOT_FOUND'].includes(code) ? 'answered' : code;
}

const inChorus = async (ask: (described: Described) => Promise<unknown>): Promise<Record<string, unknown>> => {
  const named = routes.filter(({ name }) => !OPEN.includes(name));
  return Object.fromEntries(await Promise.all(named.map(async (one) => [one.name, await ask(one)] as const)));
};
const expected = (judge: (access: RouteAccess) => Verdict) =>
  Object.fromEntries(
    routes.flatMap(({ name, route }) => (route['x-access'] ? [[name, judge(route['x-access'])]] : [])),
  );
const allowed = (is: boolean): Verdict => (is ? 'answered' : 'forbidden');

test('every route says whom it is for, but for those that are open to all', () => {
  const silent = routes.filter(({ route }) => !route['x-access'] || !route.security);
  expect(silent.map(({ name }) => name).sort()).toEqual(OPEN);
  expect(routes.length).toBeGreaterThan(25);
});

test('no route answers without a token', async () => {
  expect(await inChorus((route) => asked(null, route))).toEqual(expected(() => 'no token'));
});

test('no route that is for a user answers another one, and none that is for services answers a user', async () => {
  const others = expected(({ who }) => allowed(who === 'anyone'));
  expect(await inChorus((route) => asked('eve', route))).toEqual(others);
});

test('every route that is for a user answers that one, whatever their scopes elsewhere', async () => {
  const own = expected(({ who }) => allowed(who !== 'service'));
  expect(await inChorus((route) => asked('ada', route))).toEqual(own);
  const token = await sign({ sub: 'ada', scope: 'openid profile presence' });
  expect(await inChorus((route) => asked({ token }, route))).toEqual(own);
});

test.each([
  ['presence:read', ['read']],
  ['presence:write', ['read', 'write']],
  ['presence:other', []],
])('a service with %s is answered where it may %j, and nowhere else', async (scope, rights) => {
  const may = expected(({ who, right }) => allowed(who !== 'oneself' && rights.includes(right)));
  const backend = await service(scope);
  expect(await inChorus((route) => asked(backend, route))).toEqual(may);
  // Nor by the name of the user.
  const token = await sign({ sub: 'ada', scope });
  expect(await inChorus((route) => asked({ token }, route))).toEqual(may);
});

test('whoever is refused has changed nothing', async () => {
  const before = [...world.people.asked];
  const reader = await service('presence:other');
  for (const who of [null, 'eve', reader]) {
    const judged = await inChorus(async (route) =>
      who === 'eve' && route.route['x-access']?.who === 'anyone' ? 'forbidden' : asked(who, route),
    );
    expect(new Set(Object.values(judged))).toEqual(new Set([who === null ? 'no token' : 'forbidden']));
  }
  expect(world.people.asked).toEqual(before);
});
