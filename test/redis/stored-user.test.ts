import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StoredUser } from '../../src/presence/change.ts';
import { RedisClock } from '../../src/redis/clock.ts';
import { shardOf } from '../../src/redis/keys.ts';
import type { Stored } from '../../src/redis/presence-types.ts';
import { PrivacyCache } from '../../src/redis/privacy-cache.ts';
import { NO_TRACING } from '../../src/telemetry/tracing.ts';
import { openRoom, type Room, TTL_MS } from '../properties/room.ts';

let room: Room;
let privacy: PrivacyCache;
beforeAll(async () => {
  room = await openRoom('stored user');
  privacy = new PrivacyCache(room.redis, room.keys, new RedisClock(), TTL_MS, NO_TRACING);
});
afterAll(() => room.close());

/** Every field says something, and the text has whatever could be taken for a separator. */
const shown = { availability: 'busy', text: 'a|b "c"\n{"version":7} \\ ü 𝄞 \ud800', emoji: '🗓️' } as const;
const remembered: StoredUser = {
  version: 5_000_000_000_001,
  lastSeen: 1_700_000_000_123,
  status: 'active',
  hidden: { remainingMs: 600_000 },
  sources: [
    { source: 'call', detail: shown, remainingMs: 900_000 },
    { source: 'manual', detail: { text: 'later' }, remainingMs: null },
  ],
  detailRevision: 7,
  privacyRevision: 12,
};

function open(userId: string, stored: Stored) {
  const session = { userId, sessionId: 'd1', conn: 'web.1', kind: 'web', name: '', state: 'active' } as const;
  const ages = { beatAgeMs: 0, connectedAgeMs: 0, maxSessions: 5, mode: 'connect' } as const;
  return room.store.open({ ...session, ...ages, claims: null }, stored);
}

const revision = (userId: string) => room.redis.hget(room.keys.record(userId), 'r');

/** Each makes a record with what PostgreSQL has of the user. */
const ways: [string, (userId: string, stored: StoredUser) => Promise<unknown>][] = [
  ['comes', open],
  ['is settled after a loss', (userId, stored) => room.store.adopt(shardOf(userId), [{ userId, stored }])],
  [
    'is befriended',
    (userId, stored) => {
      const lists = { added: ['ann'], removed: [] };
      const none = { added: [], removed: [] };
      const step = { previous: 12, wasOpen: false, own: false, friendsBegin: false, friends: lists, blocks: none };
      const restricted = {
        revision: 13,
        visibility: 'everyone',
        lastSeenVisibility: 'friends',
        lastSeenPrecision: 'exact',
        open: false,
      } as const;
      return room.redis
        .hset(room.keys.privacy(userId), 'r', '12', 'v', 'e', 'l', 'f')
        .then(() => privacy.set(userId, restricted, step, null, stored));
    },
  ],
];

test.each(ways)('whoever %s goes on with all that PostgreSQL remembers of them', async (way, make) => {
  const userId = `all of ${way}`;
  const before = Date.now();
  await make(userId, remembered);
  const { record } = await room.store.inspect(userId);
  // Appearing inactive, they were told as gone with a version behind the last.
  expect(record).toMatchObject({
    announced: false,
    choiceUnknown: false,
    lastSeen: remembered.lastSeen,
    sources: [
      { source: 'call', detail: shown, until: expect.any(Number) },
      { source: 'manual', detail: { text: 'later' }, until: null },
    ],
  });
  expect(record?.version).toBeGreaterThan(remembered.version);
  expect(Number(record?.hiddenUntil) - before).toBeGreaterThanOrEqual(600_000);
  expect(Number(record?.hiddenUntil) - Date.now()).toBeLessThanOrEqual(600_000);
  const until = Number(record?.sources[0]?.until);
  expect(until - before).toBeGreaterThanOrEqual(900_000);
  expect(until - Date.now()).toBeLessThanOrEqual(900_000);
  expect(await revision(userId)).toBe(way === 'is befriended' ? '13' : '12');
});

test('a choice and a detail until further notice have no end, and who was told as inactive is not told so again', async () => {
  const stored: StoredUser = {
    ...remembered,
    status: 'inactive',
    hidden: { remainingMs: null },
    sources: [{ source: 'manual', detail: shown, remainingMs: null }],
  };
  await open('until further notice', stored);
  const { record } = await room.store.inspect('until further notice');
  expect(record).toMatchObject({ version: stored.version, hiddenUntil: -1 });
  expect(record?.sources).toEqual([{ source: 'manual', detail: shown, until: null }]);
});

test('of somebody of whom nothing is remembered nothing is made up', async () => {
  const nothing = {
    version: 3,
    lastSeen: null,
    status: 'inactive',
    hidden: null,
    sources: [],
    detailRevision: 0,
    privacyRevision: 0,
  } as const;
  await room.store.adopt(shardOf('plain'), [{ userId: 'plain', stored: nothing }]);
  const { record } = await room.store.inspect('plain');
  expect(record).toMatchObject({ version: 3, announced: false, lastSeen: null, hiddenUntil: null, sources: [] });
  expect(await revision('plain')).toBe('0');
});

test('whoever comes while PostgreSQL is away is shown to nobody until it says who may see them', async () => {
  await open('meanwhile', 'away');
  const { record } = await room.store.inspect('meanwhile');
  expect(record).toMatchObject({ announced: false, choiceUnknown: true });
  expect(await revision('meanwhile')).toBe('?');
});
