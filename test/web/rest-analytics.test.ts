import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { RollcallError } from '../../src/errors.ts';
import type { AnalyticsApi } from '../../src/usecases/analytics.ts';
import { writeHistoryCursor, writeSeenCursor } from '../../src/usecases/cursors.ts';
import { openWorld, service, sign, type World } from './rest-world.ts';

const NOON = '2026-01-31T12:00:00.000Z';
const asked: unknown[] = [];
const analytics: AnalyticsApi = {
  async active(minutes) {
    asked.push(minutes);
    return { at: NOON, activeNow: 1, within: minutes.map((each) => ({ minutes: each, users: 2 })) };
  },
  async activeUsers(from, limit) {
    asked.push({ from, limit });
    return { users: [{ userId: 'ada', lastSeen: NOON }], nextCursor: null };
  },
  async timeline(range, stepMs) {
    asked.push({ range, stepMs });
    return { points: [{ at: NOON, active: null, transitions: 3 }] };
  },
  async history(userId, range, before, limit) {
    if (userId === 'nobody') throw new RollcallError('USER_NOT_FOUND');
    asked.push({ userId, range, before, limit });
    return { transitions: [], nextCursor: null };
  },
  async activity(userId, days) {
    if (userId === 'nobody') throw new RollcallError('USER_NOT_FOUND');
    asked.push({ userId, days });
    return { days: [{ date: '2026-01-31', activeSeconds: 60 }] };
  },
};

let world: World;
let reader: { token: string };
beforeAll(async () => {
  world = await openWorld({}, { analytics });
  reader = await service('presence:read');
});
afterAll(() => world.app.close());
beforeEach(() => {
  asked.length = 0;
});

const codeOf = async (who: Parameters<World['ask']>[0], url: string) => {
  const answer = await world.ask(who, { url });
  return answer.statusCode === 200 ? 200 : `${answer.statusCode} ${answer.json().code}`;
};

const doors = [
  { url: '/analytics/active', misshapen: '/analytics/active?within=soon', own: false },
  { url: '/analytics/active-users', misshapen: '/analytics/active-users?cursor=garbled', own: false },
  { url: '/analytics/timeline', misshapen: '/analytics/timeline?step=61', own: false },
  { url: '/users/ada/history', misshapen: '/users/ada/history?cursor=garbled', own: true },
  { url: '/users/ada/activity', misshapen: '/users/ada/activity?days=0', own: true },
];

describe.each(doors)('$url', ({ url, misshapen, own }) => {
  test('looks at the token, then the shape, then the right', async () => {
    expect(await codeOf(null, misshapen)).toBe('401 UNAUTHENTICATED');
    expect(await codeOf('eve', misshapen)).toBe('400 INVALID_REQUEST');
    expect(await codeOf('eve', url)).toBe('403 FORBIDDEN');
    expect(asked).toEqual([]);
  });

  test(own ? 'answers the user and services that may read' : 'answers services that may read', async () => {
    expect(await codeOf('ada', url)).toBe(own ? 200 : '403 FORBIDDEN');
    expect(await codeOf(reader, url)).toBe(200);
    expect(await codeOf(await service('presence:write'), url)).toBe(200);
    expect(await codeOf(await service('presence:other'), url)).toBe('403 FORBIDDEN');
    expect(await codeOf({ token: await sign({ sub: 'presence:read' }) }, url)).toBe('403 FORBIDDEN');
  });
});

test('windows are told in the order asked, with four by default', async () => {
  const answer = await world.ask(reader, { url: '/analytics/active?within=60,1,43200' });
  expect(answer.json().within.map((each: { minutes: number }) => each.minutes)).toEqual([60, 1, 43_200]);
  await world.ask(reader, { url: '/analytics/active' });
  expect(asked).toEqual([
    [60, 1, 43_200],
    [1, 5, 15, 60],
  ]);
});

test.each(['', '0', '43201', '1.5', '-1', '1,,2', '1,', ' 1', '1 2', Array(21).fill(1).join(','), '1&within=2'])(
  'a list of windows like "%s" is refused',
  async (within) => {
    expect(await codeOf(reader, `/analytics/active?within=${within}`)).toBe('400 INVALID_REQUEST');
  },
);

test('twenty windows are allowed', async () => {
  expect(await codeOf(reader, `/analytics/active?within=${Array(20).fill(43_200).join(',')}`)).toBe(200);
});

test('a list of users begins with a window and goes on with a cursor', async () => {
  await world.ask(reader, { url: '/analytics/active-users' });
  const cursor = { oldest: 5, after: { userId: 'a:~|+@', lastSeen: 7 } };
  await world.ask(reader, { url: `/analytics/active-users?limit=1000&cursor=${writeSeenCursor(cursor)}` });
  expect(asked).toEqual([
    { from: { minutes: 15 }, limit: 100 },
    { from: cursor, limit: 1000 },
  ]);
});

test.each(['within=0', 'within=43201', 'within=', 'limit=0', 'limit=1001', 'limit=many', 'limit=1.5', 'cursor='])(
  'a list of users with %s is refused',
  async (query) => {
    expect(await codeOf(reader, `/analytics/active-users?${query}`)).toBe('400 INVALID_REQUEST');
  },
);

test('a cursor that was not given out there is refused', async () => {
  const good = writeSeenCursor({ oldest: 5, after: { userId: 'ada', lastSeen: 7 } });
  const bad = [
    good.slice(1),
    good.slice(0, -2),
    `${good}A`,
    `${good}%3D`,
    `${good}%20`,
    writeHistoryCursor(5),
    Buffer.from('["seen",5,7,"a b"]').toString('base64url'),
    Buffer.from('["seen",-5,7,"ada"]').toString('base64url'),
    Buffer.from('{').toString('base64url'),
    'A'.repeat(1025),
  ];
  for (const cursor of bad) {
    expect(await codeOf(reader, `/analytics/active-users?cursor=${cursor}`), cursor).toBe('400 INVALID_REQUEST');
  }
  expect(await codeOf(reader, `/users/ada/history?cursor=${good}`)).toBe('400 INVALID_REQUEST');
  expect(await codeOf(reader, `/analytics/active-users?cursor=${good}`)).toBe(200);
});

test('a timeline covers the last hour unless it is told otherwise', async () => {
  await world.ask(reader, { url: '/analytics/timeline' });
  const [{ range }] = asked as [{ range: { from: number; to: number } }];
  expect(range.to - range.from).toBe(3_600_000);
  expect(Math.abs(Date.now() - range.to)).toBeLessThan(10_000);
  asked.length = 0;
  await world.ask(reader, { url: `/analytics/timeline?to=${NOON}&step=300` });
  const day = 'from=2026-01-30T13:00:00%2B01:00&to=2026-01-31T12:00:00Z';
  await world.ask(reader, { url: `/analytics/timeline?${day}&step=86400` });
  const to = Date.parse(NOON);
  expect(asked).toEqual([
    { range: { from: to - 3_600_000, to }, stepMs: 300_000 },
    { range: { from: to - 86_400_000, to }, stepMs: 86_400_000 },
  ]);
});

test.each([
  'step=59',
  'step=0',
  'step=90',
  'step=86460',
  'from=yesterday',
  'from=2026-01-31',
  `from=${NOON}&to=${NOON}`,
  'to=2026-01-31T12:00:00',
  `from=2025-01-31T12:00:00.000Z&to=${NOON}`,
])('a timeline with %s is refused', async (query) => {
  expect(await codeOf(reader, `/analytics/timeline?${query}`)).toBe('400 INVALID_REQUEST');
});

test('ten thousand points are allowed, and one more is not', async () => {
  const from = new Date(Date.parse(NOON) - 10_000 * 60_000).toISOString();
  expect(await codeOf(reader, `/analytics/timeline?from=${from}&to=${NOON}`)).toBe(200);
  const later = new Date(Date.parse(NOON) + 1).toISOString();
  expect(await codeOf(reader, `/analytics/timeline?from=${from}&to=${later}`)).toBe('400 INVALID_REQUEST');
});

test('a history is asked for between two moments and from a cursor on', async () => {
  await world.ask('ada', { url: '/users/ada/history' });
  await world.ask('ada', { url: `/users/ada/history?from=${NOON}&limit=7&cursor=${writeHistoryCursor(12)}` });
  const from = Date.parse(NOON);
  expect(asked).toEqual([
    { userId: 'ada', range: {}, before: null, limit: 100 },
    { userId: 'ada', range: { from }, before: 12, limit: 7 },
  ]);
  expect(await codeOf('ada', `/users/ada/history?from=${NOON}&to=${NOON}`)).toBe('400 INVALID_REQUEST');
  expect(await codeOf('ada', '/users/ada/history?limit=1001')).toBe('400 INVALID_REQUEST');
});

test('an activity covers 30 days, and up to a year', async () => {
  await world.ask('ada', { url: '/users/ada/activity' });
  await world.ask('ada', { url: '/users/ada/activity?days=365' });
  expect(asked).toEqual([
    { userId: 'ada', days: 30 },
    { userId: 'ada', days: 365 },
  ]);
  expect(await codeOf('ada', '/users/ada/activity?days=366')).toBe('400 INVALID_REQUEST');
});

test('the past of somebody nobody ever heard of is not found', async () => {
  for (const url of ['/users/nobody/history', '/users/nobody/activity']) {
    expect(await codeOf('nobody', url)).toBe('404 USER_NOT_FOUND');
  }
  expect(await codeOf(reader, '/users/a%20b/history')).toBe('400 INVALID_USER_ID');
});

test('all of it is described', async () => {
  const { paths } = (await world.app.inject('/docs/json')).json();
  const { parameters, responses } = paths['/analytics/active-users'].get;
  expect(parameters.map((each: { name: string }) => each.name).toSorted()).toEqual(['cursor', 'limit', 'within']);
  const limit = parameters.find((each: { name: string }) => each.name === 'limit');
  expect(limit.schema).toMatchObject({ type: 'integer', minimum: 1, maximum: 1000, default: 100 });
  expect(Object.keys(responses)).toEqual(['200', '400', '401', '403', '429', '500', '503']);
  for (const { url } of doors) expect(paths[url.replace('/ada/', '/{id}/')].get.summary).toBeTypeOf('string');
});
