import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { RollcallError } from '../../src/errors.ts';
import { writeFeedCursor } from '../../src/protocol/changes.ts';
import type { ChangesApi } from '../../src/usecases/change-feed.ts';
import { openWorld, service, type World } from './rest-world.ts';

const NOON = '2026-01-31T12:00:00.000Z';
const place = { feed: '0123abcd', position: 12 };
const cursor = writeFeedCursor(place);
const asked: unknown[] = [];
const changes: ChangesApi = {
  draining: false,
  async changes(after, limit, waitMs) {
    asked.push({ after, limit, waitMs });
    if (after?.position === 0) throw new RollcallError('CURSOR_TOO_OLD');
    const change = {
      userId: 'ada',
      status: 'inactive',
      lastSeen: null,
      version: 5,
      at: NOON,
      cause: 'erased',
    } as const;
    return { changes: [{ ...change, position: 7 }], nextCursor: cursor };
  },
};

let world: World;
let reader: { token: string };
beforeAll(async () => {
  world = await openWorld({}, { changes });
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

test('the feed looks at the token, then the shape, then the right of a service to read', async () => {
  expect(await codeOf(null, '/changes?after=garbled')).toBe('401 UNAUTHENTICATED');
  expect(await codeOf('eve', '/changes?after=garbled')).toBe('400 INVALID_REQUEST');
  expect(await codeOf('eve', '/changes')).toBe('403 FORBIDDEN');
  expect(await codeOf(await service('presence:other'), `/changes?after=${cursor}`)).toBe('403 FORBIDDEN');
  expect(asked).toEqual([]);
  expect(await codeOf(reader, '/changes')).toBe(200);
  expect(await codeOf(await service('presence:write'), '/changes')).toBe(200);
});

test('a question has a cursor, a limit and a time to wait, and the answer says no more than it should', async () => {
  const answer = await world.ask(reader, { url: `/changes?after=${cursor}&limit=1000&wait=0.5` });
  expect(answer.json()).toEqual({
    changes: [{ userId: 'ada', status: 'inactive', lastSeen: null, version: 5, at: NOON, cause: 'erased' }],
    nextCursor: cursor,
  });
  await world.ask(reader, { url: '/changes' });
  expect(asked).toEqual([
    { after: place, limit: 1000, waitMs: 500 },
    { after: null, limit: 100, waitMs: 0 },
  ]);
});

test.each(['limit=0', 'limit=1001', 'limit=many', 'limit=1.5', 'wait=-1', 'wait=61', 'wait=soon', 'after='])(
  '%s is refused',
  async (query) => {
    expect(await codeOf(reader, `/changes?${query}`)).toBe('400 INVALID_REQUEST');
  },
);

test('a cursor that was not given out here is refused', async () => {
  const plain = (text: string) => Buffer.from(text).toString('base64url');
  const bad = [
    cursor.slice(1),
    cursor.slice(0, -1),
    `${cursor}A`,
    `${cursor}%3D`,
    `${cursor}%20`,
    plain('changes 0123abcd -1'),
    plain('changes 0123abcd 012'),
    plain('changes 0123abcd 1e3'),
    plain('changes 0123abcd 9999999999999999'),
    plain('changes 0123abc 1'),
    plain('history 0123abcd 1'),
    plain('["history",5]'),
  ];
  for (const after of bad)
    expect([after, await codeOf(reader, `/changes?after=${after}`)]).toEqual([after, '400 INVALID_REQUEST']);
  expect(asked).toEqual([]);
});

test('a cursor that is too old says to take a fresh snapshot', async () => {
  const after = writeFeedCursor({ ...place, position: 0 });
  const answer = await world.ask(reader, { url: `/changes?after=${after}` });
  expect(answer.statusCode).toBe(410);
  expect(answer.json()).toMatchObject({ statusCode: 410, code: 'CURSOR_TOO_OLD', error: 'Gone' });
  expect(answer.json().message).toContain('fresh snapshot');
});
