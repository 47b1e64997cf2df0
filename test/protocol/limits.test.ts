import fc from 'fast-check';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { CLIENT_EVENT_NAMES, rowOf } from '../../src/protocol/client-events.ts';
import * as http from '../../src/protocol/http.ts';
import { extrasOf, LogoutBody, StatusAnswer, StatusesRequest, StatusQuery } from '../../src/protocol/http.ts';
import * as socket from '../../src/protocol/socket.ts';
import { ConnectOptions, StatusChange } from '../../src/protocol/socket.ts';
import { Id, isUserIdIssue, LIMITS, line, SetStatusRequest, UserId } from '../../src/protocol/vocabulary.ts';

const fits = (schema: z.ZodType, value: unknown) => schema.safeParse(value).success;

test('ids are 1 to 128 characters out of those allowed, and nothing else', () => {
  for (const id of ['a', 'x'.repeat(128), '0', '12345', 'a:b:c', 'tenant|ada@example.com+1', '~._-', '__proto__']) {
    expect([id, fits(UserId, id), fits(Id, id)]).toEqual([id, true, true]);
  }
  for (const id of ['', 'x'.repeat(129), 'a b', 'a/b', 'ä', 'ada\n', '\u0000', 'a\u200b', 7, null, {}, ['ada']]) {
    expect([id, fits(UserId, id), fits(Id, id)]).toEqual([id, false, false]);
  }
});

test('what is wrong with a user id can be told from what is wrong with any other', () => {
  const issues = (schema: z.ZodType, value: unknown) => schema.safeParse(value).error?.issues.map(isUserIdIssue);
  expect(issues(UserId, 'a b')).toEqual([true]);
  expect(issues(UserId, 5)).toEqual([true]);
  expect(issues(Id, 'a b')).toEqual([false]);
  expect(issues(StatusesRequest, { userIds: ['ada', '', 'bob', 3] })).toEqual([true, true]);
  expect(issues(StatusesRequest, { userIds: 'ada' })).toEqual([false]);
});

test('a line counts characters, not their halves', () => {
  expect(fits(line(3), '😀😀😀')).toBe(true);
  expect(fits(line(3), '😀😀😀😀')).toBe(false);
  expect(fits(line(3), 'abcd')).toBe(false);
  expect(fits(line(100), 'x'.repeat(100))).toBe(true);
  expect(fits(line(100), 'x'.repeat(101))).toBe(false);
});

test('a line holds no control characters, line breaks or broken characters', () => {
  for (const text of ['', ' ', 'naïve', '日本', '👩‍👩‍👧‍👦', 'a\u200db'])
    expect([text, fits(line(20), text)]).toEqual([text, true]);
  for (const text of ['\n', 'a\tb', '\u0000', '\u007f', '\u0085', '\u2028', '\u2029', '\ud800', 'a\udc00b']) {
    expect([text, fits(line(20), text)]).toEqual([text, false]);
  }
});

test('every limit of a handshake holds', () => {
  const device = (name: unknown) => ({ device: { kind: 'web', name } });
  expect(fits(ConnectOptions, {})).toBe(true);
  expect(
    fits(ConnectOptions, { watch: [], deviceId: 'd:1', batch: true, heartbeat: 'pong', ...device('Firefox') }),
  ).toBe(true);
  expect(fits(ConnectOptions, device('x'.repeat(64)))).toBe(true);
  expect(fits(ConnectOptions, device('x'.repeat(65)))).toBe(false);
  expect(fits(ConnectOptions, device('a\nb'))).toBe(false);
  expect(fits(ConnectOptions, { device: { kind: 'fridge' } })).toBe(false);
  expect(fits(ConnectOptions, { deviceId: 'a b' })).toBe(false);
  expect(fits(ConnectOptions, { heartbeat: 'never' })).toBe(false);
  expect(fits(ConnectOptions, { watch: Array(LIMITS.idsInList).fill('ada') })).toBe(true);
  expect(fits(ConnectOptions, { watch: Array(LIMITS.idsInList + 1).fill('ada') })).toBe(false);
});

test('an event that needs nothing takes nothing', () => {
  for (const event of ['heartbeat', 'logout'] as const) {
    for (const nothing of [undefined, null, {}]) expect(fits(rowOf(event).request, nothing)).toBe(true);
    for (const wrong of [1, 'x', []]) expect(fits(rowOf(event).request, wrong)).toBe(false);
  }
  expect(fits(LogoutBody, undefined)).toBe(true);
});

test('whatever a client sends, reading it neither throws nor changes the world', () => {
  const names = fc.constantFrom(
    'userId',
    'userIds',
    'status',
    'state',
    '__proto__',
    'constructor',
    'text',
    'token',
    'kind',
  );
  const { json } = fc.letrec((tie) => ({
    json: fc.oneof(
      { maxDepth: 3 },
      fc.jsonValue(),
      fc.array(tie('json')),
      fc.array(fc.tuple(names, tie('json'))).map((entries) => {
        const text = entries
          .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value) ?? 'null'}`)
          .join();
        return JSON.parse(`{${text}}`) as unknown;
      }),
    ),
  }));
  const property = fc.property(
    fc.constantFrom(...CLIENT_EVENT_NAMES.map((event) => rowOf(event).request), ConnectOptions),
    json,
    (schema, sent) => {
      const before = Object.getOwnPropertyNames(Object.prototype).join();
      const { data } = schema.safeParse(sent);
      if (data) {
        expect(Object.getPrototypeOf(data)).toBe(Object.prototype);
        expect(Object.hasOwn(data, '__proto__')).toBe(false);
        expect(Object.hasOwn(data, 'constructor')).toBe(false);
      }
      expect(Object.getOwnPropertyNames(Object.prototype).join()).toBe(before);
    },
  );
  fc.assert(property, { numRuns: 500 });
});

test('times have milliseconds and are in UTC', () => {
  const change = (lastSeen: unknown) => ({ userId: 'ada', status: 'active', lastSeen, version: 1 });
  expect(fits(StatusChange, change('2026-01-31T12:00:00.000Z'))).toBe(true);
  expect(fits(StatusChange, change(null))).toBe(true);
  for (const wrong of [
    '2026-01-31T12:00:00Z',
    '2026-01-31T12:00:00.000+01:00',
    '2026-02-30T12:00:00.000Z',
    1,
    undefined,
  ]) {
    expect(fits(StatusChange, change(wrong))).toBe(false);
  }
});

test('include names its extras in any order, and nothing else', () => {
  const read = (include?: string) => {
    const result = StatusQuery.safeParse({ include });
    return result.success ? [...extrasOf(result.data)] : null;
  };
  expect(read()).toEqual([]);
  expect(read('why,devices')).toEqual(['devices', 'why']);
  expect(read('detail,detail')).toEqual(['detail']);
  for (const wrong of ['', ',', 'devices,', ' devices', 'all']) expect(read(wrong)).toBeNull();
});

test('an expiry is a positive number of seconds, up to ten years', () => {
  const set = (expiresInSeconds: unknown) => fits(SetStatusRequest, { status: 'inactive', expiresInSeconds });
  for (const fine of [0.001, 1, LIMITS.expirySeconds]) expect(set(fine)).toBe(true);
  for (const wrong of [0, -1, LIMITS.expirySeconds + 1, Number.NaN, Number.POSITIVE_INFINITY, '5']) {
    expect(set(wrong)).toBe(false);
  }
});

test('an answer without extras is exactly the three keys', () => {
  const answer = StatusAnswer.parse({ userId: 'ada', status: 'active', lastSeen: null, sessions: 17, password: 'x' });
  expect(Object.keys(answer)).toEqual(['userId', 'status', 'lastSeen']);
});

test('every schema can be written as JSON Schema, for the documentation', () => {
  for (const [name, schema] of Object.entries({ ...http, ...socket })) {
    if (!(schema instanceof z.ZodType) || name === 'NoContent') continue;
    expect([name, typeof z.toJSONSchema(schema)]).toEqual([name, 'object']);
  }
});
