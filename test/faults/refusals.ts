import { rm } from 'node:fs/promises';
import { Redis } from 'ioredis';
import { expect } from 'vitest';
import { isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';
import { LOCK, samplesOf } from '../support/metrics.ts';
import { privateRedis } from '../support/stores.ts';
import { connect, ENV, ending, keepAlive, TTL_MS } from './outage.ts';

const PASSWORD = 'of-the-worker%2Fand-long';

export interface RefusingWorld {
  rollcall: Deployment;
  /** A user of its own, whom nothing is refused. */
  admin: Redis;
  port: number;
}

/** A deployment on a Redis that the test can have refuse. */
export async function refusingWorld(name: string): Promise<RefusingWorld> {
  const password = decodeURIComponent(PASSWORD);
  const redis = await privateRedis({ configuration: [`user worker on >${password} ~* &* +@all`] });
  ending.push(() => redis.stop());
  const admin = new Redis(redis.port);
  ending.push(() => admin.disconnect());
  const redisUrl = `redis://worker:${PASSWORD}@127.0.0.1:${redis.port}`;
  const rollcall = await Deployment.start(name, { redisUrl, webs: 2, env: { ...ENV, ...LOCK } });
  ending.push(() => rollcall.stop());
  return { rollcall, admin, port: redis.port };
}

export interface Refusal {
  kind: string;
  begin(world: RefusingWorld): Promise<unknown>;
  end(world: RefusingWorld): Promise<unknown>;
}

const password = () => decodeURIComponent(PASSWORD);
const cut = (admin: Redis) => admin.client('KILL', 'USER', 'worker');

export const FULL: Refusal = {
  kind: 'OOM',
  begin: ({ admin }) => admin.config('SET', 'maxmemory', '1'),
  end: ({ admin }) => admin.config('SET', 'maxmemory', '0'),
};

export const WRONG_PASSWORD: Refusal = {
  kind: 'WRONGPASS',
  begin: async ({ admin }) => {
    await admin.acl('SETUSER', 'worker', 'resetpass', '>another-one-and-long');
    await cut(admin);
  },
  end: ({ admin }) => admin.acl('SETUSER', 'worker', `>${password()}`),
};

/** What is short of a whole machine to bring about. */
export const OTHERS: Refusal[] = [
  {
    kind: 'NOREPLICAS',
    begin: ({ admin }) => admin.config('SET', 'min-replicas-to-write', '1'),
    end: ({ admin }) => admin.config('SET', 'min-replicas-to-write', '0'),
  },
  {
    kind: 'READONLY',
    begin: ({ admin }) => admin.replicaof('127.0.0.1', 1),
    end: ({ admin }) => admin.replicaof('NO', 'ONE'),
  },
  {
    kind: 'NOPERM',
    begin: ({ admin }) => admin.acl('SETUSER', 'worker', '-evalsha', '-eval'),
    end: ({ admin }) => admin.acl('SETUSER', 'worker', '+@all'),
  },
  {
    kind: 'BUSY',
    begin: async ({ admin, port }) => {
      await admin.config('SET', 'lua-time-limit', '50');
      const other = new Redis(port);
      other
        .eval('while true do end', 0)
        .catch(() => {})
        .finally(() => other.disconnect());
    },
    end: ({ admin }) => admin.script('KILL'),
  },
  {
    kind: 'MAXCLIENTS',
    begin: async ({ admin }) => {
      await admin.config('SET', 'maxclients', '1');
      await cut(admin);
    },
    end: ({ admin }) => admin.config('SET', 'maxclients', '1000'),
  },
  {
    kind: 'MISCONF',
    begin: async ({ admin }) => {
      // Its folder is gone, so what it is to save has no place.
      const [, folder = ''] = (await admin.config('GET', 'dir')) as string[];
      if (folder !== '') await rm(folder, { recursive: true });
      await admin.config('SET', 'stop-writes-on-bgsave-error', 'yes');
      await admin.config('SET', 'save', '3600 1');
      await admin.bgsave();
      await eventually(
        () => admin.info('persistence'),
        (info) => /rdb_last_bgsave_status:err/.test(info),
      );
    },
    end: ({ admin }) => admin.config('SET', 'stop-writes-on-bgsave-error', 'no'),
  },
];

const refused = (lines: readonly string[], kind: string) =>
  lines.filter((line) => line.includes(`"kind":"${kind}"`)).length;

/** Redis refuses for longer than a TTL; what people and operators meet meanwhile, and what is told afterwards. */
export async function refuses(world: RefusingWorld, { kind, begin, end }: Refusal, round = ''): Promise<void> {
  const { rollcall } = world;
  const [beats, leaves, marker] = ['beats', 'leaves', 'marker'].map((name) => `${name}-${kind}${round}`);
  if (!beats || !leaves || !marker) throw new Error('nobody');
  const watcher = await connect(rollcall.web(1).url, `watcher-${kind}${round}`, { watch: [beats, leaves, marker] });
  keepAlive(await connect(rollcall.web(0).url, beats, { deviceId: 'one' }));
  const leaving = await connect(rollcall.web(0).url, leaves, { deviceId: 'one' });
  keepAlive(leaving);
  for (const userId of [beats, leaves]) await watcher.hears(userId, isActive);
  const programs = [...rollcall.webs, ...rollcall.workers];
  const said = programs.map(({ lines }) => lines.length);
  const begunAt = performance.now();
  await begin(world);
  try {
    const word = kind === 'MAXCLIENTS' ? 'maxclients' : kind;
    const { status, body } = await eventually(
      () => rest(rollcall.url, 'GET', '/readyz'),
      ({ body }) => !body.ready && !body.redis && !body.queue && body.reasons.redis.includes(word),
    );
    expect(status).toBe(503);
    expect(body.reasons.queue).toBe(body.reasons.redis);
    leaving.leave();
    const leftAt = Date.now();

    const token = await tokenFor(beats);
    const posted = await rest(rollcall.url, 'POST', '/users/status', { token, body: { status: 'active' } });
    const asked = await rest(rollcall.url, 'GET', `/users/${beats}/status`, { token });
    for (const answer of [posted, asked]) {
      expect(answer).toMatchObject({ status: 503, body: { code: 'UNAVAILABLE' } });
      expect(answer.headers.get('retry-after')).toMatch(/^[1-9]/);
    }
    const newcomer = new TestClient(rollcall.url, { token: await tokenFor('newcomer') });
    await expect(newcomer.welcomed()).rejects.toMatchObject({ code: 'UNAVAILABLE' });

    await eventually(
      () => samplesOf(rollcall.url),
      // Its absence is what RollcallRedisAway looks for.
      (samples) => samples.get('rollcall_ready{part="redis"}') === 0 && !samples.has('rollcall_active_users'),
      10_000,
    );
    expect((await samplesOf(rollcall.url)).get(`rollcall_redis_refusals_total{kind="${kind}"}`)).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, begunAt + TTL_MS + 1500 - performance.now())));
    await end(world);

    const gone = await watcher.hears(leaves, isInactive, { withinMs: 15_000 });
    expect(Math.abs(Date.parse(gone.lastSeen ?? '') - leftAt)).toBeLessThan(1000);
  } finally {
    await end(world).catch(() => {});
  }
  // The hold is over and the sweep has been by: had it been too early, this one would have gone too.
  await eventually(
    async () => (await rest(rollcall.url, 'GET', '/readyz')).body,
    ({ ready, redis, queue }) => ready && redis && queue,
    15_000,
  );
  await connect(rollcall.web(0).url, marker);
  await watcher.hears(marker, isActive);
  expect(watcher.of(beats).map((change) => change.status)).toEqual(['active']);
  const seconds = (performance.now() - begunAt) / 1000;
  for (const [n, { lines }] of programs.entries()) {
    const since = lines.slice(said[n]);
    // The first at once, and then one in ten seconds.
    expect(refused(since, kind)).toBeLessThanOrEqual(2 + seconds / 10);
    expect(since.length).toBeLessThan(30 + 2 * seconds);
    expect(since.filter((line) => line.includes('"level":"error"'))).toEqual([]);
    expect(since.filter((line) => line.includes(password()) || line.includes(PASSWORD))).toEqual([]);
  }
  watcher.leave();
}
