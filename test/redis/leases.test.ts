import { afterAll, beforeAll, expect, test } from 'vitest';
import { NO_CONNECTION } from '../../src/presence/session.ts';
import { Alerts } from '../../src/redis/alerts.ts';
import { shardOf } from '../../src/redis/keys.ts';
import { LeaseStore } from '../../src/redis/leases.ts';
import { openRoom, type Room, TTL_MS } from '../properties/room.ts';

let room: Room;
let alerts: Alerts;
beforeAll(async () => {
  room = await openRoom('leases');
  alerts = new Alerts(room.redis, room.keys, TTL_MS);
});
afterAll(() => room?.close());

const AGES = { beatAgeMs: 0, connectedAgeMs: 0, maxSessions: 20, claims: null };

async function put(userId: string, ttlMs = 60_000, name = 'a') {
  const lease = { userId, sessionId: `l${name}`, conn: NO_CONNECTION, kind: null, state: null, name, ttlMs };
  const opened = await room.store.open({ ...lease, ...AGES, mode: 'lease' }, 'new');
  expect(opened.code).toBe('ok');
  return { userId, sessionId: lease.sessionId };
}

async function open(userId: string, { ttlMs = null as number | null, beatAgeMs = 0 } = {}) {
  const device = { kind: 'web' as const, name: '', state: 'active' as const, ttlMs };
  const session = { userId, sessionId: 'dphone', conn: `web.${userId}`, ...device };
  return room.store.open({ ...session, ...AGES, beatAgeMs, mode: 'connect' }, 'new');
}

const sessionsOf = async (userId: string) => (await room.store.inspect(userId)).record?.sessions ?? [];

test('whoever is here by a lease alone has no device that could be told an alert', async () => {
  await put('agent-only');
  expect(await alerts.isConnected('agent-only')).toBe(false);
  expect(await alerts.tell('agent-only', { userId: 'friend', at: 1 })).toMatchObject({ told: false });
  await open('agent-only');
  expect(await alerts.isConnected('agent-only')).toBe(true);
  // A device whose own TTL is over is none either, whatever is configured.
  await put('short');
  await open('short', { ttlMs: 3000, beatAgeMs: 3500 });
  expect(await alerts.isConnected('short')).toBe(false);
  await open('long', { ttlMs: 600_000, beatAgeMs: TTL_MS + 1000 });
  expect(await alerts.isConnected('long')).toBe(true);
});

test('a logout that is said again because Redis had lost it ends the leases of before, and none that was put later', async () => {
  await put('again');
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(await room.store.logOutAgain('again', null, 10, '')).toMatchObject({ found: true });
  expect(await sessionsOf('again')).toEqual([]);
  await put('again');
  await room.store.logOutAgain('again', null, 10_000, '');
  expect(await sessionsOf('again')).toHaveLength(1);
  await put('again', 60_000, 'b');
  await new Promise((resolve) => setTimeout(resolve, 20));
  await room.store.logOutAgain('again', 'lb', 10, '');
  expect((await sessionsOf('again')).map(({ sessionId }) => sessionId)).toEqual(['la']);
});

test('who is due by another TTL than the configured one is noted apart, so that a clock that was set back is noticed', async () => {
  const apart = async (userId: string) => (await room.deadlines.pageApart(shardOf(userId), '0', 1000)).userIds;
  await open('as-configured');
  expect(await apart('as-configured')).not.toContain('as-configured');
  await open('own', { ttlMs: 3000 });
  expect(await apart('own')).toContain('own');
  const lease = await put('leased', 3000);
  const leases = new LeaseStore(room.redis, room.keys, room.clock, TTL_MS);
  expect((await leases.renew([lease])).renewed).toEqual([true]);
  expect(await apart('leased')).toContain('leased');
  await room.store.close({ ...lease, conn: NO_CONNECTION }, 0, 0);
  await room.store.expire(shardOf('leased'), [{ userId: 'leased', number: '' }]);
  expect(await apart('leased')).not.toContain('leased');
});
