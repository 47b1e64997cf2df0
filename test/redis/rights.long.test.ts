import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { befriend } from '../support/alerts-world.ts';
import { isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';
import { LOCK, samplesOf, total } from '../support/metrics.ts';
import { ASKED, giveRights, refusedTo, rightsOfTheGuide } from '../support/redis-rights.ts';
import { privateRedis } from '../support/stores.ts';

const ENV = {
  ...LOCK,
  PRESENCE_TTL_SECONDS: '3',
  HEARTBEAT_INTERVAL_SECONDS: '1',
  HEARTBEAT_MIN_INTERVAL_SECONDS: '0.1',
  ALERT_STABLE_SECONDS: '0.2',
  ALERT_MIN_ABSENCE_SECONDS: '0.2',
};
/** Asked for only where there is much to go through, after a loss, or for the log of a job on the board. */
const RARE = ['exec', 'multi', 'srandmember', 'sscan', 'zmscore', 'zscan'];

async function open(name: string, rules: string[]) {
  const server = await privateRedis();
  onTestFinished(() => server.stop());
  const redisUrl = await giveRights(server.url, rules);
  const owner = new Redis(server.url);
  onTestFinished(() => owner.disconnect());
  const rollcall = await Deployment.start(name, { redisUrl, webs: 2, env: ENV });
  onTestFinished(() => rollcall.stop());
  return { url: server.url, owner, rollcall };
}

/** Somebody comes, is seen, hides, goes, is alerted of and erased; operators look. */
async function live(rollcall: Deployment): Promise<void> {
  const as = async (userId: string, method: string, path: string, body?: object) => {
    const scope = userId === 'host' ? { scope: 'presence:write' } : {};
    const answer = await rest(rollcall.url, method, path, { token: await tokenFor(userId, scope), body });
    expect(answer.status, `${method} ${path}`).toBeLessThan(300);
    return answer.body;
  };
  await befriend(rollcall.db, 'watcher', 'ada', 'always');
  const watcher = await TestClient.connect(rollcall.web(1).url, 'watcher', { watch: ['ada'], deviceId: 'w' });
  const timer = setInterval(() => void watcher.beat().catch(() => {}), 500);
  onTestFinished(() => clearInterval(timer));
  const ada = await TestClient.connect(rollcall.url, 'ada');
  await watcher.hears('ada', isActive);
  expect(await ada.socket.emitWithAck('set_detail', { text: 'lunch', expiresInSeconds: 30 })).toMatchObject({
    ok: true,
  });
  await as('host', 'PUT', '/conversations/team/members/ada');
  expect(await ada.socket.emitWithAck('join_conversation', { conversationId: 'team' })).toEqual({ ok: true });
  await ada.socket.emitWithAck('start_indicator', { conversationId: 'team', kind: 'typing' });
  await as('ada', 'POST', '/users/status', { status: 'inactive' });
  await watcher.hears('ada', isInactive);
  await as('ada', 'POST', '/users/status', { status: 'active' });
  await as('ada', 'PUT', '/users/ada/settings', { visibility: 'friends' });
  await as('ada', 'PUT', '/users/ada/blocks/eve');
  await as('ada', 'PUT', '/users/ada/settings', { visibility: 'everyone' });
  // Silence, as long as it takes.
  const before = watcher.of('ada').length;
  ada.fallSilent();
  await watcher.hears('ada', isInactive, { after: before, withinMs: 20_000 });
  for (const path of ['/analytics/active?within=1', '/analytics/active-users?within=5', '/changes']) {
    // How many are active is not known in the first moments of a store.
    await eventually(
      async () =>
        (await rest(rollcall.web(1).url, 'GET', path, { token: await tokenFor('host', { scope: 'presence:read' }) }))
          .status,
      (status) => status === 200,
      20_000,
    );
  }
  await as('ada', 'POST', '/users/logout', {});
  await as('ada', 'DELETE', '/users/ada');
  const login = { authorization: `Basic ${btoa(`${LOCK.ADMIN_USER}:${LOCK.ADMIN_PASSWORD}`)}` };
  expect((await fetch(`${rollcall.url}/admin/queues/api/queues`, { headers: login })).status).toBe(200);
}

test('a user with the rights that the guide names, for keys with its prefix, is refused nothing', async () => {
  const rules = (await rightsOfTheGuide()).map((rule) => (rule === '~*' ? '~rights_*' : rule));
  const { url, owner, rollcall } = await open('rights', rules);
  await live(rollcall);
  const { url: leaving } = rollcall.web(0);
  expect(total(await samplesOf(leaving), 'rollcall_redis_refusals_total')).toBe(0);
  rollcall.web(0).kill('SIGTERM');
  rollcall.worker(0).kill('SIGTERM');
  await Promise.all([rollcall.web(0).exited, rollcall.worker(0).exited]);
  // What was lost is made again.
  await rollcall.addWorker();
  await owner.flushall();
  const again = await TestClient.connect(rollcall.web(1).url, 'again');
  expect(await again.beat()).toMatchObject({ ok: true });
  expect(await refusedTo(url)).toEqual([]);
  for (const { lines } of [...rollcall.webs, ...rollcall.workers]) {
    expect(lines.filter((line) => /NOPERM|no permission/i.test(line))).toEqual([]);
  }
  // Nobody else used this server: each of these was used, and would be missed.
  const used = await owner.info('commandstats');
  const missing = ASKED.filter((name) => !RARE.includes(name) && !used.includes(`cmdstat_${name}:`));
  expect(missing).toEqual([]);
}, 120_000);

test.each(['time', 'hset', 'zadd', 'evalsha', 'bzpopmin', 'xreadgroup'])(
  'without %s, one of these rights, the log says that a right is missing',
  async (name) => {
    const { url, rollcall } = await open(`without ${name}`, [...(await rightsOfTheGuide()), `-${name}`]);
    // Somebody comes, if they can: nothing is read from the outbox before.
    await TestClient.connect(rollcall.url, 'ada', { watch: [] }).catch(() => {});
    await Promise.race([...rollcall.webs, ...rollcall.workers].map((program) => program.said(/NOPERM/)));
    expect(await refusedTo(url)).toContain(`command ${name}`);
  },
  60_000,
);
