import { afterAll, beforeAll, expect, test } from 'vitest';
import { isActive, isInactive, TestClient } from '../support/client.ts';
import { CALM, Deployment } from '../support/deployment.ts';

let rollcall: Deployment;

beforeAll(async () => {
  rollcall = await Deployment.start('leaving-together', { webs: 2, env: CALM });
});
afterAll(() => rollcall?.stop());

test('each of those who come and leave in the same moment is told once, with the moment at which they left', async () => {
  const userIds = Array.from({ length: 60 }, (_, n) => `together-${n}`);
  const watcher = await TestClient.connect(rollcall.web(1).url, 'watcher', { watch: userIds });
  const people = await Promise.all(userIds.map((userId, n) => TestClient.connect(rollcall.web(n % 2).url, userId)));
  for (const userId of userIds) await watcher.hears(userId, isActive);
  // One of them has another device, which nobody is to notice.
  const other = await TestClient.connect(rollcall.url, 'together-7', { deviceId: 'another' });
  const leftAt = Date.now();
  for (const person of people) person.leave();
  for (const userId of userIds) {
    if (userId === 'together-7') continue;
    const { lastSeen } = await watcher.hears(userId, isInactive);
    expect(Math.abs(Date.parse(lastSeen ?? '') - leftAt)).toBeLessThan(1000);
  }
  other.leave();
  await watcher.hears('together-7', isInactive);
  for (const userId of userIds) expect(watcher.of(userId).map(({ status }) => status)).toEqual(['active', 'inactive']);
  watcher.leave();
});
