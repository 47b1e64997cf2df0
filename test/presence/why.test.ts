import { expect, test } from 'vitest';
import { isValidId } from '../../src/presence/ids.ts';
import type { Session } from '../../src/presence/session.ts';
import { explain, freshest, type Standpoint } from '../../src/presence/status.ts';

const TTL = 60_000;
const session = (sessionId: string, change: Partial<Session> = {}): Session => ({
  sessionId,
  conn: sessionId,
  standing: 'live',
  kind: 'web',
  name: '',
  state: 'active',
  ttlMs: null,
  connectedAt: 1000,
  lastBeat: 1000,
  deadline: null,
  ...change,
});
const standpoint = (change: Partial<Standpoint> = {}): Standpoint => ({
  hiddenUntil: null,
  hiddenSince: null,
  announced: true,
  sessions: [],
  cause: 'connect',
  causeSession: 'c1',
  since: 1000,
  ...change,
});

test('the session heard of last decides why a user is active, the latest deadline when that ends', () => {
  const sessions = [session('c1', { lastBeat: 5000 }), session('c2', { deadline: 90_000 })];
  expect(freshest(sessions)?.sessionId).toBe('c1');
  expect(explain(standpoint({ sessions }), TTL)).toEqual({
    rule: 'heartbeat',
    sessionId: 'c1',
    since: 1000,
    nextChangeAt: 90_000,
  });
});

test('a handover and a grace are named as what keeps a user active', () => {
  const rule = (standing: Session['standing']) =>
    explain(standpoint({ sessions: [session('c1', { standing, deadline: 9000 })] }), TTL).rule;
  expect([rule('handover'), rule('grace'), rule('posted')]).toEqual(['handover', 'disconnect', 'heartbeat']);
});

test("a user's own choice comes before everything, with its end where it has one", () => {
  const sessions = [session('c1')];
  const hidden = { hiddenSince: 2000, sessions };
  expect(explain(standpoint({ ...hidden, hiddenUntil: -1 }), TTL)).toMatchObject({
    rule: 'manual',
    nextChangeAt: null,
  });
  expect(explain(standpoint({ ...hidden, hiddenUntil: 9000 }), TTL)).toMatchObject({
    rule: 'manual',
    nextChangeAt: 9000,
  });
});

test('after the end the reason stays the one that was told', () => {
  const rule = (cause: Standpoint['cause']) => explain(standpoint({ announced: false, cause }), TTL).rule;
  expect([rule('disconnect'), rule('logout'), rule('handover'), rule('timeout'), rule(null)]).toEqual([
    'disconnect',
    'logout',
    'handover',
    'timeout',
    'timeout',
  ]);
});

test('an id is 1 to 128 plain characters, and nothing else', () => {
  for (const id of ['a', '1', 'a'.repeat(128), 'org:ann@x.y|z+1~-_']) expect(isValidId(id), id).toBe(true);
  for (const id of ['', 'a'.repeat(129), 'a b', 'ä', 'a/b', 'a\n', '{a}', 7, null, undefined]) {
    expect(isValidId(id), String(id)).toBe(false);
  }
});
