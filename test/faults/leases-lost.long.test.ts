import { expect, test } from 'vitest';
import { isActive, isInactive, rest, tokenFor } from '../support/client.ts';
import { connect, settled, withPrivateRedis } from './outage.ts';

test('a loss of Redis loses leases: who puts theirs again was never gone, who was here by one alone is told inactive once all had the time', async () => {
  const { rollcall } = await withPrivateRedis('leases lost');
  const token = await tokenFor('backend', { scope: 'presence:write' });
  const put = (userId: string) =>
    rest(rollcall.url, 'PUT', `/users/${userId}/leases/a`, { token, body: { ttlSeconds: 3600 } });
  const watcher = await connect(rollcall.web(1).url, 'watcher', { watch: ['stays', 'lost'], heartbeat: 'pong' });
  for (const userId of ['stays', 'lost']) {
    await put(userId);
    await watcher.hears(userId, isActive);
    await settled(rollcall, userId, 'active');
  }
  const before = watcher.of('lost').at(-1);

  await rollcall.redis.flushall();
  const both = ['stays', 'lost'].map((userId) => ({ userId, name: 'a' }));
  const renewed = await rest(rollcall.url, 'POST', '/leases/renew', { token, body: { leases: both } });
  expect(renewed.body).toEqual({ renewed: 0, missing: both });
  expect((await put('stays')).status).toBe(200);
  const gone = await watcher.hears('lost', isInactive, { withinMs: 40_000 });
  expect(gone.lastSeen).toBe(before?.lastSeen);
  expect(watcher.statuses('stays')).not.toContain('inactive');
  const { body } = await rest(rollcall.url, 'POST', '/users/status/query', {
    token,
    body: { userIds: ['stays', 'lost'] },
  });
  expect(body.users.map(({ status }: { status: string }) => status)).toEqual(['active', 'inactive']);
  expect(rollcall.faults).toEqual([]);
});
