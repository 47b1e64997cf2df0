import { expect, test } from 'vitest';
import { startRedis } from '../../scripts/embedded/redis.ts';
import { connect, ENV, ending, keepAlive } from '../faults/outage.ts';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';
import { startSentinel } from '../support/sentinel.ts';
import { privateRedis } from '../support/stores.ts';

/** A server that can be reached and never serves: how it is started, and what is said of it. */
const UNFIT: [what: string, start: () => Promise<{ url: string; stop: () => Promise<void> }>, reason: RegExp][] = [
  ['a Sentinel', startSentinel, /Sentinel.*REDIS_SENTINELS/],
  ['a node of a cluster', () => privateRedis({ configuration: ['cluster-enabled yes'] }), /cluster/i],
  [
    'one that wants a password',
    () => privateRedis({ configuration: ['requirepass of-nobody-here'] }),
    /password.*NOAUTH/,
  ],
  [
    'one whose INFO was renamed',
    () => privateRedis({ configuration: ['rename-command INFO ""'] }),
    /does not know a command/,
  ],
];

test.each(UNFIT)(
  '%s in REDIS_URL is an absent Redis, and web and worker say what it is and what to do',
  async (what, start, reason) => {
    const server = await start();
    ending.push(() => server.stop());
    const rollcall = await Deployment.start(`unfit ${what}`, { redisUrl: server.url, env: ENV });
    ending.push(() => rollcall.stop());
    const { status, body } = await eventually(
      () => rest(rollcall.url, 'GET', '/readyz'),
      ({ body }) => !body.ready && body.postgres && reason.test(body.reasons.redis ?? ''),
      20_000,
    );
    expect(status).toBe(503);
    expect(body).toMatchObject({ redis: false, queue: false, postgres: true });
    const refused = await rest(rollcall.url, 'GET', '/users/ada/status', { token: await tokenFor('ada') });
    expect(refused).toMatchObject({ status: 503, body: { code: 'UNAVAILABLE' } });
    const newcomer = new TestClient(rollcall.url, { token: await tokenFor('ada') });
    await expect(newcomer.welcomed()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    for (const program of [rollcall.web(0), rollcall.worker(0)]) {
      await program.said(reason);
      expect(program.lines.length).toBeLessThan(30);
    }
    expect(rollcall.faults).toEqual([]);
  },
  60_000,
);

test('a Redis that would drop keys or forget everything is told of at start, once for a process, and serves', async () => {
  const server = await startRedis({ configuration: ['maxmemory-policy allkeys-lru'] });
  ending.push(() => server.stop());
  const rollcall = await Deployment.start('warned', { redisUrl: server.url, env: ENV });
  ending.push(() => rollcall.stop());
  await connect(rollcall.url, 'ada');
  for (const { lines } of [rollcall.web(0), rollcall.worker(0)]) {
    expect(lines.filter((line) => /maxmemory-policy of Redis is allkeys-lru.*noeviction/.test(line))).toHaveLength(1);
    expect(lines.filter((line) => /Redis keeps nothing on disk.*appendonly/.test(line))).toHaveLength(1);
  }
});

test('a Redis of which nobody may ask for CONFIG and INFO serves like any other, for one line of information at most', async () => {
  const server = await privateRedis({ configuration: ['user worker on >of-the-worker ~* &* +@all -config -info'] });
  ending.push(() => server.stop());
  const redisUrl = server.url.replace('//', '//worker:of-the-worker@');
  const rollcall = await Deployment.start('not asked', { redisUrl, env: ENV });
  ending.push(() => rollcall.stop());
  const ada = await connect(rollcall.url, 'ada');
  keepAlive(ada);
  expect(
    await eventually(
      () => rest(rollcall.url, 'GET', '/readyz'),
      ({ body }) => Object.keys(body.reasons).length === 0,
    ),
  ).toMatchObject({
    status: 200,
    body: { redis: true, queue: true, reasons: {} },
  });
  for (const { lines } of [rollcall.web(0), rollcall.worker(0)]) {
    // Nothing of a library's own wording either; but a machine that is busy with other tests is shed for.
    expect(lines.filter((line) => !/"level":"info"|"shedLevel"/.test(line))).toEqual([]);
    expect(lines.filter((line) => /does not tell its version/.test(line))).toHaveLength(1);
  }
});
