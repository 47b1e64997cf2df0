import { expect, test } from 'vitest';
import { z } from 'zod';
import { nearestName, unknownName } from '../../src/protocol/near-names.ts';
import { greeting, request } from '../../src/protocol/requests.ts';
import { parse } from '../../src/web/validation.ts';

const KNOWN = ['status', 'userId', 'expiresInSeconds'];

test.each([
  ['expiresIn', 'expiresInSeconds'],
  ['expires_in_seconds', 'expiresInSeconds'],
  ['ExpiresInSeconds', 'expiresInSeconds'],
  ['expiresInSecond', 'expiresInSeconds'],
  ['expireInSecs', 'expiresInSeconds'],
  ['user', 'userId'],
  ['userID', 'userId'],
  ['user-id', 'userId'],
  ['uesrId', 'userId'],
  ['stauts', 'status'],
  ['state', 'status'],
])('who writes %s is told of %s', (written, meant) => {
  expect(nearestName(written, KNOWN)).toBe(meant);
});

test.each(['mood', 'x', '', '__proto__', '名前', 'ttl', 'z'.repeat(100_000)])(
  'who writes %.20s is told of all that there is, for nothing is near',
  (written) => {
    expect(nearestName(written, KNOWN)).toBeNull();
    const told = unknownName(written, KNOWN);
    expect(told).toContain(JSON.stringify(written.slice(0, 40)));
    expect(told).toMatch(/known are status, userId, expiresInSeconds$/);
    expect(told.length).toBeLessThan(200);
  },
);

const Inner = request({ kind: z.string(), name: z.string().optional() });
const Outer = request({
  wanted: z.string(),
  mayBe: z.number().optional(),
  taken: z.string().nullable().optional(),
  inner: Inner.optional(),
  list: z.array(Inner).optional(),
});

test('null for an optional field is as if it were left out, however deep; where it means something, it stays', () => {
  const inner = { kind: 'web', name: null };
  const sent = { wanted: 'x', mayBe: null, taken: null, inner, list: [inner, { kind: 'other', name: 'y' }] };
  const read = parse(Outer, sent);
  expect(read).toStrictEqual({
    wanted: 'x',
    taken: null,
    inner: { kind: 'web' },
    list: [{ kind: 'web' }, { kind: 'other', name: 'y' }],
  });
  expect(Object.keys(read)).not.toContain('mayBe');
  expect(sent.mayBe).toBeNull();
  expect(parse(Outer, { wanted: 'x', inner: null, list: null })).toStrictEqual({ wanted: 'x' });
  for (const wrong of [{ wanted: null }, { wanted: 'x', inner: { kind: null } }, { wanted: 'x', list: [null] }]) {
    expect(() => parse(Outer, wrong)).toThrow();
  }
});

test('a field that is not known is told before anything else that is wrong, with its place', () => {
  expect(() => parse(Outer, { wnated: 'x' })).toThrow('"wnated" is not known here; did you mean "wanted"?');
  const deep = { wanted: 'x', list: [{ kind: 'web' }, { kind: 'web', nam: 'y' }] };
  expect(() => parse(Outer, deep)).toThrow('list.1: "nam" is not known here; did you mean "name"?');
});

test('who comes may say more than is known here, and it is not taken for anything', () => {
  const Options = greeting({ batch: z.boolean().optional(), device: greeting({ kind: z.string() }).optional() });
  const sent = { batch: null, device: { kind: 'web', model: 'x' }, appear: 'inactive' };
  expect(parse(Options, sent)).toStrictEqual({ device: { kind: 'web' } });
});
