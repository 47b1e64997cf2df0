import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { startRedis } from '../../scripts/embedded/redis.ts';
import { isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { Deployment } from '../support/deployment.ts';
import { movableClock } from '../support/movable-clock.ts';
import { RedisSentinels } from '../support/redis-sentinels.ts';

const TTL_MS = 11_000;
/** Nobody beats by chance while expiry waits for some seconds, and nobody too late where the machine is busy for two. */
const BEAT_MS = 8500;
/** A hold of some seconds, what the contract allows beside a deadline, and as much again for a busy machine. */
const LATE_MS = 10_000;
const ENV = {
  AUDIENCE: 'watchers',
  PRESENCE_TTL_SECONDS: `${TTL_MS / 1000}`,
  HEARTBEAT_INTERVAL_SECONDS: '9',
  HEARTBEAT_MIN_INTERVAL_SECONDS: '0.1',
};

const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

function beats(client: TestClient): () => void {
  const timer = setInterval(() => void client.beat().catch(() => {}), BEAT_MS);
  const quiet = () => clearInterval(timer);
  ending.push(quiet, () => client.leave());
  return quiet;
}

/** Somebody is here, falls silent, leaves, and is left behind by a web that dies, while `step` sets the clock. */
async function whileTheClockIsSet(rollcall: Deployment, step: () => Promise<void>): Promise<void> {
  const [first, second] = [rollcall.web(0), rollcall.web(1)];
  const people = ['stays-0', 'stays-1', 'stays-2', 'silent', 'leaves', 'orphan'];
  const watcher = await TestClient.connect(first.url, 'watcher', { watch: [...people, 'newcomer'] });
  beats(watcher);
  const quiet = new Map<string, () => void>();
  const clients = new Map<string, TestClient>();
  for (const id of people) {
    const client = await TestClient.connect(id === 'orphan' ? second.url : first.url, id, { watch: [] });
    clients.set(id, client);
    quiet.set(id, beats(client));
  }
  for (const id of people) await watcher.hears(id, isActive);
  const status = async (id: string) =>
    rest(first.url, 'GET', `/users/${id}/status`, { token: await tokenFor('somebody') });

  await delay(500);
  second.kill('SIGKILL');
  quiet.get('orphan')?.();
  await step();
  const setAt = performance.now();
  quiet.get('silent')?.();
  clients.get('leaves')?.leave();
  for (const id of ['leaves', 'silent', 'orphan']) {
    const gone = await watcher.hears(id, isInactive, { withinMs: TTL_MS + LATE_MS });
    expect(gone.heardAt - setAt, id).toBeLessThan(TTL_MS + LATE_MS);
  }
  const newcomer = await TestClient.connect(first.url, 'newcomer', { watch: [] });
  await watcher.hears('newcomer', isActive);
  newcomer.leave();
  await watcher.hears('newcomer', isInactive);
  await delay(TTL_MS);
  for (const id of ['stays-0', 'stays-1', 'stays-2']) {
    expect(watcher.statuses(id), id).not.toContain('inactive');
    expect((await status(id)).body, id).toMatchObject({ status: 'active' });
  }
  // Who falls silent by the new clock is told inactive by it.
  quiet.get('stays-0')?.();
  await watcher.hears('stays-0', isInactive, { withinMs: TTL_MS + LATE_MS });
  for (const id of ['leaves', 'silent', 'orphan', 'stays-0']) {
    expect((await status(id)).body, id).toMatchObject({ status: 'inactive' });
  }
  expect(rollcall.faults).toEqual([]);
}

test.each([
  ['back', -600],
  ['forth', 600],
])(
  'a clock of Redis that is set %s by ten minutes ends nobody who beats, and keeps nobody who left',
  async (_, by) => {
    const clock = await movableClock();
    ending.push(() => clock.remove());
    const redis = await startRedis({ env: clock.env });
    ending.push(() => redis.stop());
    const rollcall = await Deployment.start(`clock ${by}`, { redisUrl: redis.url, webs: 2, workers: 2, env: ENV });
    ending.push(() => rollcall.stop());
    await whileTheClockIsSet(rollcall, () => clock.set(by));
  },
  120_000,
);

test.each([
  ['behind', -300],
  ['ahead', 300],
])(
  'nor does a failover to a server whose clock is %s by five minutes',
  async (_, by) => {
    const clock = await movableClock(by);
    ending.push(() => clock.remove());
    const sentinels = await RedisSentinels.start({ replicaEnv: clock.env });
    ending.push(() => sentinels.stop());
    const env = { ...ENV, ...sentinels.env };
    const rollcall = await Deployment.start(`failover ${by}`, { webs: 2, workers: 2, env });
    ending.push(() => rollcall.stop());
    await whileTheClockIsSet(rollcall, async () => {
      const before = await sentinels.primary();
      await before.kill('SIGKILL');
      await sentinels.takenOver(before);
    });
  },
  120_000,
);
