import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Alerts } from '../../src/redis/alerts.ts';
import { RedisClock } from '../../src/redis/clock.ts';
import { Indicators } from '../../src/redis/indicators.ts';
import { type Group, SHARDS, shardOf } from '../../src/redis/keys.ts';
import { ENTRY_FIELDS, type OutboxEntry } from '../../src/redis/outbox-entry.ts';
import { PresenceStore } from '../../src/redis/presence-store.ts';
import { PrivacyCache } from '../../src/redis/privacy-cache.ts';
import { RoomLists } from '../../src/redis/room-lists.ts';
import { UserRooms } from '../../src/redis/user-rooms.ts';
import { NO_TRACING, type Tracing } from '../../src/telemetry/tracing.ts';
import { Drains } from '../../workers/drain.ts';
import { openRoom, type Room, TTL_MS } from '../properties/room.ts';
import { manual } from '../support/said.ts';

let room: Room;
/** A shard for each test. */
let shard = 0;
beforeAll(async () => {
  room = await openRoom('outbox entries');
});
afterAll(() => room.close());
beforeEach(() => {
  shard = (shard + 1) % SHARDS;
});

async function take(group: Group, done: string[] = []): Promise<OutboxEntry[]> {
  const taken = await room.outbox.take(group, new Map([[shard, done]]), { token: group, count: 100, stays: false });
  const step = taken.get(shard);
  return step?.state === 'entries' ? step.entries : [];
}

/** As it stands in the outbox. */
async function written(): Promise<Record<string, string>[]> {
  const entries = await room.redis.xrange(room.keys.outbox(shard), '-', '+');
  return entries.map(([, flat]) => {
    const pairs = flat.flatMap((name, n) => (n % 2 === 0 ? [[name, flat[n + 1] ?? ''] as const] : []));
    return Object.fromEntries(pairs);
  });
}

function someone(): string {
  const userId = Array.from({ length: 400 }, (_, n) => `user-${n}`).find((id) => shardOf(id) === shard);
  if (!userId) throw new Error('nobody is of this shard');
  return userId;
}

const AT = 1_790_000_000_000;
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const before = { v: 'f', l: 'n', fa: ['ann'], fr: [], ba: [], br: {}, s: false, q: ['bob'], t: true };
const beforeRead = {
  visibility: 'friends',
  lastSeenVisibility: 'nobody',
  lastSeenPrecision: 'exact',
  friends: { added: ['ann'], removed: [] },
  blocks: { added: [], removed: [] },
  onlyLists: false,
  overtaken: ['bob'],
  gathered: true,
};
const change = { userId: 'u1', version: AT + 5, at: AT, lastSeen: AT - 50 };
const plain = { claims: null, falselyAway: null, lateMs: null };
const claims = { name: 'Ann', picture: 'https://example.com/a.png' };

/** To the letter what 0.1 wrote, and what it says. */
const OF_0_1: [string, (string | number)[], object][] = [
  [
    'a coming',
    ['u', 'u1', 's', '1', 'l', AT - 50, 'v', AT + 5, 'a', AT, 'c', 'connect', 'p', AT - 90],
    { kind: 'change', change: { ...change, status: 'active', cause: 'connect', awaySince: AT - 90 }, ...plain },
  ],
  [
    'a first coming, traced, with a name and a detail',
    [
      ...['t', TRACE, 'u', 'u1', 's', '1', 'l', AT - 50, 'v', AT + 5, 'a', AT, 'c', 'connect', 'p', ''],
      ...['m', JSON.stringify(claims), 'd', '{"text":"hi"}', 'y', 'timeout'],
    ],
    {
      kind: 'change',
      change: { ...change, status: 'active', cause: 'connect', awaySince: null, detail: { text: 'hi' } },
      claims,
      falselyAway: 'timeout',
      lateMs: null,
      trace: TRACE,
    },
  ],
  [
    'a leaving by silence',
    ['u', 'u1', 's', '0', 'l', AT - 50, 'v', AT + 5, 'a', AT, 'c', 'timeout', 'o', AT - 300],
    { kind: 'change', change: { ...change, status: 'inactive', cause: 'timeout' }, ...plain, lateMs: 300 },
  ],
  [
    'a change of privacy',
    ['u', 'u1', 's', '1', 'l', '', 'v', AT + 5, 'a', AT, 'c', 'privacy', 'b', JSON.stringify(before), 'z', '1'],
    {
      kind: 'change',
      change: { ...change, lastSeen: null, status: 'active', cause: 'privacy', restricted: true, before: beforeRead },
      ...plain,
    },
  ],
  [
    'an erasure',
    ['u', 'u1', 's', '0', 'l', '', 'v', AT + 5, 'a', AT, 'c', 'erased', 'z', '1', 'b', '{"u":true}', 'd', '{}'],
    {
      kind: 'change',
      change: {
        ...change,
        ...{ lastSeen: null, status: 'inactive', cause: 'erased', restricted: true, before: 'unknown', detail: {} },
      },
      ...plain,
    },
  ],
  [
    'a note of a logout',
    ['u', 'u1', 'n', 'clear', 'l', AT - 50, 'v', AT + 5, 'a', AT, 'm', ''],
    {
      ...{ kind: 'note', userId: 'u1', clearsHidden: true, claims: null },
      change: { ...change, status: 'inactive', cause: 'logout' },
    },
  ],
  [
    'a note of a first visit',
    ['u', 'u1', 'n', 'seen', 'l', '', 'v', AT + 5, 'a', AT, 'm', JSON.stringify(claims)],
    {
      ...{ kind: 'note', userId: 'u1', clearsHidden: false, claims },
      change: { ...change, lastSeen: null, status: 'inactive', cause: 'logout' },
    },
  ],
  [
    'connections to close',
    ['u', 'u1', 'x', 'web.1 web.2', 'r', 'logout'],
    { kind: 'close', userId: 'u1', conns: ['web.1', 'web.2'], reason: 'logout' },
  ],
  [
    'an indicator',
    ['i', 'c1', 'u', 'u1', 'k', 'recording_audio', 's', '1'],
    { kind: 'indicator', conversationId: 'c1', userId: 'u1', doing: 'recording_audio', active: true },
  ],
  [
    'a removal',
    ['t', TRACE, 'i', 'c1', 'u', 'u1', 'g', '1'],
    { kind: 'expelled', conversationId: 'c1', userId: 'u1', trace: TRACE },
  ],
  ['an alert', ['u', 'ann', 'f', 'u1', 'a', AT], { kind: 'alert', askerId: 'ann', userId: 'u1', at: AT }],
];

test.each(OF_0_1)('%s that 0.1 left in the outbox is read by both groups', async (_, fields, says) => {
  const id = await room.redis.xadd(room.keys.outbox(shard), '*', ...fields);
  for (const group of ['deliver', 'record'] as const) {
    expect((await take(group)).filter((entry) => entry.id === id)).toEqual([{ id, ...says }]);
    expect(await take(group, [String(id)])).toEqual([]);
  }
});

test('in an entry of 0.1 and in one of today a worker finds who was erased meanwhile', async () => {
  const { redis, keys } = room;
  await redis.xadd(keys.outbox(shard), '*', 'u', 'old gone', 's', '1', 'l', '', 'v', AT, 'a', AT, 'c', 'connect');
  await redis.xadd(keys.outbox(shard), '*', 'kind', 'note', 'user', 'new gone', 'trace', TRACE, 'active', '');
  await redis.hset(keys.gone(shard), 'old gone', AT, 'new gone', AT + 1, 'u', AT + 2);
  const taken = (
    await room.outbox.take('record', new Map([[shard, []]]), { token: 'one', count: 100, stays: false })
  ).get(shard);
  const gone = taken?.state === 'entries' ? [...taken.gone] : [];
  expect(gone.sort()).toEqual([
    ['new gone', AT + 1],
    ['old gone', AT],
  ]);
});

/** Everything that writes to an outbox, once without a trace and once with one. */
async function everything(trace: string): Promise<void> {
  const { redis, keys } = room;
  const tracing: Tracing = { ...NO_TRACING, current: () => trace };
  const clock = new RedisClock();
  const store = new PresenceStore(redis, keys, clock, TTL_MS, tracing);
  const privacy = new PrivacyCache(redis, keys, clock, TTL_MS, tracing);
  const indicators = new Indicators(redis, keys, clock, tracing);
  const alerts = new Alerts(redis, keys, TTL_MS, tracing);
  const userId = someone();
  const session = { userId, sessionId: 'd1', kind: 'web', name: '', state: 'active' } as const;
  const ages = { beatAgeMs: 0, connectedAgeMs: 0, maxSessions: 5, mode: 'connect', claims } as const;
  const opens = (conn: string) => store.open({ ...session, ...ages, conn }, 'new');
  await opens('web.1');
  await opens('web.2');
  await store.setDetail(userId, manual({ text: '"{|}"' }), null);
  const step = { previous: 0, wasOpen: true, own: true, friendsBegin: false };
  const friends = { added: ['ann'], removed: [] };
  const wanted = {
    revision: 3,
    visibility: 'friends',
    lastSeenVisibility: 'friends',
    lastSeenPrecision: 'exact',
    open: false,
  } as const;
  await privacy.set(userId, wanted, { ...step, friends, blocks: { added: [], removed: [] } }, null, null);
  await alerts.tell(userId, { userId: 'ann', at: AT });
  const indicator = { conversationId: conversation(), userId, conn: 'web.2' };
  await indicators.start({ ...indicator, kind: 'typing' });
  await indicators.stop({ ...indicator, kind: 'typing' });
  await indicators.start({ ...indicator, kind: 'recording_audio' });
  await indicators.expel(indicator.conversationId, userId);
  const rooms = new UserRooms(redis, keys, clock, TTL_MS, 50, tracing);
  const where = { redis, keys, clock, pulse: { epochOf: () => null }, ttlMs: TTL_MS, tracing };
  const lists = new RoomLists(where, { limit: 1000, told: [] });
  const { told } = await rooms.join({ userId, sessionId: 'd1', conn: 'web.2', roomId: conversation() }, '{"page":3}');
  await lists.apply(told ? [told] : []);
  await rooms.putOut(userId, conversation());
  await store.logOut(userId, null);
  await store.erase(userId);
}

function conversation(): string {
  return Array.from({ length: 400 }, (_, n) => `c-${n}`).find((id) => shardOf(id) === shard) ?? '';
}

test.each(['', TRACE])('entries have the fields of their kind in their order, with the trace "%s"', async (trace) => {
  await everything(trace);
  const entries = await written();
  expect(new Set(entries.map(({ kind }) => kind))).toEqual(new Set(Object.keys(ENTRY_FIELDS)));
  for (const entry of entries) {
    const [kind, user, ...others] = ENTRY_FIELDS[entry.kind as keyof typeof ENTRY_FIELDS];
    expect(Object.keys(entry)).toEqual([kind, user, ...(trace === '' ? [] : ['trace']), ...others]);
    expect(entry.trace ?? '').toBe(trace);
  }
});

test('what is written is read as it was meant', async () => {
  const userId = someone();
  await everything(TRACE);
  const entries = await take('deliver');
  expect(entries.every((entry) => entry.trace === TRACE)).toBe(true);
  const of = (cause: string) => entries.find((entry) => entry.kind === 'change' && entry.change.cause === cause);
  expect(of('connect')).toMatchObject({ claims, lateMs: null, falselyAway: null, change: { userId, awaySince: null } });
  expect(of('connect')).not.toHaveProperty('change.restricted');
  expect(of('detail')).toMatchObject({ claims: null, change: { status: 'active', detail: { text: '"{|}"' } } });
  expect(of('privacy')).toMatchObject({
    change: { restricted: true, before: { visibility: 'everyone', friends: { added: ['ann'], removed: [] } } },
  });
  expect(of('logout')).toMatchObject({ change: { status: 'inactive', restricted: true } });
  expect(of('erased')).toMatchObject({ change: { lastSeen: null, restricted: true, detail: {} } });
  const told = entries.flatMap((entry) => (entry.kind === 'change' ? entry.change : []));
  expect(told.filter(({ at, version }) => at > version)).toEqual([]);
  expect(told.map(({ version }) => version)).toEqual(told.map(({ version }) => version).sort((a, b) => a - b));
  expect(entries.filter(({ kind }) => kind !== 'change')).toMatchObject([
    { kind: 'close', userId, conns: ['web.1'], reason: 'replaced' },
    { kind: 'alert', askerId: userId, userId: 'ann', at: AT },
    { kind: 'indicator', conversationId: conversation(), userId, doing: 'typing', active: true },
    { kind: 'indicator', conversationId: conversation(), userId, doing: 'typing', active: false },
    { kind: 'indicator', conversationId: conversation(), userId, doing: 'recording_audio', active: true },
    { kind: 'indicator', conversationId: conversation(), userId, doing: 'recording_audio', active: false },
    { kind: 'expelled', conversationId: conversation(), userId },
    { kind: 'rooms', userId, rooms: new Map([[conversation(), { data: '{"page":3}', idle: false }]]) },
    {
      kind: 'room',
      roomId: conversation(),
      what: 'joined',
      counts: { all: 1, open: 0, everyone: 0 },
      member: { userId, openness: 'closed', data: '{"page":3}' },
      was: null,
    },
    { kind: 'put_out', roomId: conversation(), userId, conns: ['web.2'], at: expect.any(Number) },
    { kind: 'rooms', userId, rooms: new Map([[conversation(), null]]) },
    { kind: 'close', userId, conns: ['web.2'], reason: 'logout' },
    { kind: 'note', userId, clearsHidden: true, claims: null },
  ]);
});

test('an entry of a kind that a later version made waits for its workers, and holds up no other shard', async () => {
  const { redis, keys, outbox } = room;
  const other = (shard + 1) % SHARDS;
  await redis.del(keys.outbox(shard), keys.outbox(other));
  const id = await redis.xadd(keys.outbox(shard), '*', 'kind', 'moved_house', 'user', 'u1');
  await redis.xadd(keys.outbox(other), '*', 'kind', 'expelled', 'user', 'u1', 'conversation', 'c1');
  for (const group of ['deliver', 'record'] as const) {
    const done: string[] = [];
    const options = { everyMs: 20, longestStayMs: 1000, slotGroupOf: keys.slotGroupOf, now: () => 0 };
    const drained = new Drains(outbox, group, options).drain([shard, other], async (taken) => {
      for (const { entries } of taken.values()) done.push(...entries.map(({ kind }) => kind));
    });
    await expect(drained).rejects.toThrow(/"moved_house".*waits for a worker of a later one/);
    expect(done).toEqual(['expelled']);
    expect(await redis.xpending(keys.outbox(shard), group)).toMatchObject([1, id, id, expect.anything()]);
    expect(await redis.exists(keys.lease(group, shard), keys.lease(group, other))).toBe(0);
  }
});

test('the page lists the fields of each kind of entry, and none that is not there', () => {
  const [, rest = ''] = readFileSync('docs/architecture.md', 'utf8').split('\n## Entries of the outbox\n');
  const rows = [...(rest.split('\n## ')[0] ?? '').matchAll(/^\| (`.*?) \| (.*?) \|/gm)];
  const names = (cell = '') => [...cell.matchAll(/`(\w+)`/g)].map(([, name = '']) => name);
  const listed = rows.flatMap(([, kinds, fields]) => names(kinds).map((kind) => [kind, names(fields)]));
  const written = Object.entries(ENTRY_FIELDS).map(([kind, fields]) => [kind, fields.slice(2)]);
  expect(Object.fromEntries(listed)).toEqual(Object.fromEntries(written));
});

test('what is traced comes no sooner than what was asked before it and waits to go together with more', async () => {
  const { redis, keys } = room;
  let trace = '';
  const tracing: Tracing = { ...NO_TRACING, current: () => trace };
  const rooms = new UserRooms(redis, keys, new RedisClock(), TTL_MS, 5, tracing);
  const userId = someone();
  const { session } = await room.comes(userId);
  // So soon after one that others are waited for.
  await rooms.join({ ...session, roomId: 'doc:1' }, '');
  const joining = rooms.join({ ...session, roomId: 'doc:2' }, '');
  trace = TRACE;
  const leaving = rooms.leave({ ...session, roomId: 'doc:2' });
  expect([(await joining).code, (await leaving).code]).toEqual(['ok', 'ok']);
});
