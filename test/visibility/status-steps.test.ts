import { describe, expect, test } from 'vitest';
import type { StoredUser } from '../../src/presence/change.ts';
import type { Access } from '../../src/presence/visibility.ts';
import type { StatusReply } from '../../src/redis/presence-types.ts';
import { applyAccess, askPostgres, type FromPostgres } from '../../src/usecases/status-steps.ts';

const NOON = Date.parse('2026-01-31T12:00:00.000Z');
const iso = (ms: number) => new Date(ms).toISOString();
const NOTHING = { status: 'inactive', lastSeen: null, version: 0 };

const reply = (userId: string, differs: Partial<StatusReply> = {}): StatusReply => ({
  userId,
  status: 'active',
  lastSeen: NOON,
  version: 7,
  known: true,
  choiceUnknown: false,
  detail: null,
  access: 'all',
  restricted: false,
  ...differs,
});
/** As Redis answers for somebody of whom it has no record. */
const noRecord = (userId: string, differs: Partial<StatusReply> = {}) =>
  reply(userId, { status: 'inactive', lastSeen: null, version: null, known: false, ...differs });
const stored = (differs: Partial<StoredUser> = {}): StoredUser => ({
  version: 5,
  lastSeen: NOON - 1000,
  status: 'inactive',
  hidden: null,
  sources: [],
  detailRevision: 0,
  privacyRevision: 0,
  ...differs,
});
const postgres = (users: Record<string, StoredUser> = {}, accesses: Record<string, Access> = {}): FromPostgres => ({
  storedUsers: new Map(Object.entries(users)),
  accesses: new Map(Object.entries(accesses)),
});
const AWAY: FromPostgres = { storedUsers: null, accesses: null };

describe('what PostgreSQL is asked', () => {
  const asked = async (replies: StatusReply[], viewerId: string | null = 'vic') => {
    const questions: [string, string[]][] = [];
    const answer = (question: string, userIds: string[]) => {
      questions.push([question, userIds]);
      return Promise.resolve(new Map());
    };
    await askPostgres(
      { load: (ids) => answer('load', ids), accesses: (_, ids) => answer('accesses', ids) },
      replies,
      viewerId,
    );
    return Object.fromEntries(questions);
  };

  test('nothing of those of whom Redis says enough, and nothing of those whose choice is not known', async () => {
    const userIds = [reply('ada'), reply('bob', { access: 'status' }), reply('cid', { choiceUnknown: true })];
    expect(await asked(userIds)).toEqual({ load: [], accesses: [] });
  });

  test('of whom the viewer may see nothing the same as of somebody who never came', async () => {
    const both = [reply('ada', { access: 'nothing' }), noRecord('nobody')];
    expect(await asked(both)).toEqual({ load: ['ada', 'nobody'], accesses: ['ada', 'nobody'] });
  });

  test('no accesses for a viewer who sees everything', async () => {
    expect(await asked([noRecord('ada')], null)).toEqual({ load: ['ada'] });
  });
});

describe('what a viewer is shown', () => {
  test('who is seen by what Redis knows is seen while PostgreSQL is away, too', () => {
    const { users, pending } = applyAccess([reply('ada'), reply('bob', { access: 'status' })], AWAY);
    expect(users).toEqual([
      { userId: 'ada', status: 'active', lastSeen: iso(NOON), version: 7 },
      { userId: 'bob', status: 'active', lastSeen: null, version: 0 },
    ]);
    expect(pending).toEqual([]);
  });

  test('who may not be seen looks like somebody who never came', () => {
    const seen = applyAccess([reply('ada', { access: 'nothing' }), noRecord('nobody')], postgres({ ada: stored() }));
    expect(seen.users).toEqual([
      { userId: 'ada', ...NOTHING },
      { userId: 'nobody', ...NOTHING },
    ]);
    expect([...seen.unknown]).toEqual(['nobody']);
  });

  test.each<[string, Partial<StatusReply>]>([
    ['whom Redis has no record of', noRecord('ada')],
    ['of whom Redis does not know who may see them', { access: 'unknown' }],
    ['of whom Redis does not know what they chose', { choiceUnknown: true }],
  ])('a user %s is shown to nobody while PostgreSQL is away', (_, differs) => {
    expect(applyAccess([reply('ada', differs)], AWAY)).toMatchObject({ users: [], pending: ['ada'] });
  });

  test.each<[Access | 'unknown', Access | undefined, Access]>([
    ['unknown', 'nothing', 'nothing'],
    ['unknown', 'status', 'status'],
    ['coarse', undefined, 'coarse'],
    ['coarse', 'status', 'status'],
    ['unknown', 'coarse', 'coarse'],
    ['unknown', undefined, 'all'],
    ['nothing', undefined, 'nothing'],
  ])('where Redis says %s and PostgreSQL %s, it is %s', (redis, inPostgres, access) => {
    const { users } = applyAccess(
      [reply('ada', { access: redis })],
      postgres({ ada: stored() }, inPostgres && { ada: inPostgres }),
    );
    expect(users).toEqual([
      {
        all: { userId: 'ada', status: 'active', lastSeen: iso(NOON), version: 7 },
        coarse: { userId: 'ada', status: 'active', lastSeen: null, version: 0 },
        status: { userId: 'ada', status: 'active', lastSeen: null, version: 0 },
        nothing: { userId: 'ada', ...NOTHING },
      }[access],
    ]);
  });

  test('whom Redis has no record of is shown as PostgreSQL remembers them', () => {
    const away = { text: 'back at noon' };
    const seen = applyAccess(
      [noRecord('ada')],
      postgres({ ada: stored({ sources: [{ source: 'manual', detail: away, remainingMs: null }] }) }),
    );
    expect(seen.users).toEqual([
      { userId: 'ada', status: 'inactive', lastSeen: iso(NOON - 1000), version: 5, detail: away },
    ]);
    expect(seen.unknown.size).toBe(0);
  });

  test('who is active by PostgreSQL alone is not sure, and who lost their privacy in Redis is told to it again', () => {
    const seen = applyAccess(
      [noRecord('ada'), reply('bob', { access: 'unknown' })],
      postgres({ ada: stored({ status: 'active' }), bob: stored({ status: 'active' }) }),
    );
    expect([...seen.unsure]).toEqual(['ada']);
    expect(seen.lost).toEqual(['bob']);
  });

  test('who restricts anything, by either store, is said to be restricted', () => {
    const seen = applyAccess(
      [reply('ada', { restricted: true }), noRecord('bob'), reply('cid'), noRecord('dan')],
      postgres({ bob: stored({ privacyRevision: 3 }), dan: stored() }),
    );
    expect([...seen.restricted]).toEqual(['ada', 'bob']);
  });
});
