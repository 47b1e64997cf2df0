import { once } from 'node:events';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import type { Redis } from 'ioredis';
import { afterEach, expect, test } from 'vitest';
import { freePort } from '../../scripts/embedded/free-port.ts';
import { installDebianPackage, onPath, run } from '../../scripts/embedded/programs.ts';
import { startRedis } from '../../scripts/embedded/redis.ts';
import { temporaryFolder } from '../../scripts/embedded/server-process.ts';
import { absenceOf } from '../../src/redis/absence.ts';
import { connectRedis, type RedisClient, type RedisSettings, type Temper } from '../../src/redis/connect.ts';
import { rest } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';
import { RedisSentinels, type RedisSentinelsOptions } from '../support/redis-sentinels.ts';
import { startSentinel } from '../support/sentinel.ts';

const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

async function startSentinels(options: RedisSentinelsOptions = {}): Promise<RedisSentinels> {
  const sentinels = await RedisSentinels.start(options);
  ending.push(() => sentinels.stop());
  return sentinels;
}

function settingsOf({ env, sentinels }: RedisSentinels): RedisSettings {
  const { REDIS_URL = '', REDIS_SENTINEL_MASTER: master = '', REDIS_SENTINEL_PASSWORD: password = null } = env;
  const nodes = sentinels.map(({ port }) => ({ host: '127.0.0.1', port }));
  return { urls: [REDIS_URL], cluster: false, sentinels: { nodes, master, password }, tlsRejectUnauthorized: true };
}

function watched(client: RedisClient): RedisClient {
  ending.push(() => client.disconnect());
  return client.on('error', () => {});
}

const connect = (settings: RedisSettings, temper: Temper) => watched(connectRedis(settings, temper));

const portOf = async (client: RedisClient) => /tcp_port:(\d+)/.exec(await client.info('server'))?.[1];

test('none of a hundred connections, nor a duplicate of one, is left behind by a failover', async () => {
  const sentinels = await startSentinels();
  const settings = settingsOf(sentinels);
  const clients = (['prompt', 'blocking', 'reading'] as const).flatMap((temper) =>
    Array.from({ length: 30 }, () => connect(settings, temper)),
  );
  clients.push(...clients.slice(25, 35).map((client) => watched((client as Redis).duplicate())));
  const ready = () => clients.filter(({ status }) => status === 'ready').length;
  await eventually(ready, (count) => count === clients.length, 30_000);
  const before = await sentinels.primary();
  await before.kill('SIGKILL');
  await sentinels.takenOver(before);
  await eventually(ready, (count) => count === clients.length, 30_000);
  const port = `${(await sentinels.primary()).port}`;
  expect(new Set(await Promise.all(clients.map(portOf)))).toEqual(new Set([port]));
}, 120_000);

test('the primary is found with passwords of its own and of the Sentinels, in a database, and past Sentinels that are away or hang', async () => {
  const sentinels = await startSentinels({ password: 'of-the-primary%', sentinelPassword: 'of,the-sentinels' });
  const [first, second] = sentinels.sentinels;
  await first?.kill('SIGKILL');
  await second?.kill('SIGSTOP');
  const settings = settingsOf(sentinels);
  const client = connect({ ...settings, urls: [`${settings.urls[0]}/3`] }, 'blocking');
  await client.set('found', 'it');
  expect(await client.client('INFO')).toMatch(/ db=3 /);
  const [primary] = sentinels.servers;
  if (primary)
    expect(await sentinels.ask(primary, async (redis) => redis.select(3).then(() => redis.get('found')))).toBe('it');
}, 120_000);

test('with rediss: Sentinels and primary are asked by TLS, and only those whose certificate is good', async () => {
  const folder = await temporaryFolder('certificate');
  ending.push(() => folder.remove());
  const [key, certificate] = [join(folder.path, 'key.pem'), join(folder.path, 'certificate.pem')];
  if (!onPath('openssl')) await installDebianPackage('openssl');
  const made = await run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-subj', '/CN=localhost', '-keyout', key, '-out', certificate],
  ]);
  expect(made).toMatchObject({ ok: true });
  const lines = (port: number) => [
    `tls-port ${port}`,
    `tls-cert-file ${certificate}`,
    `tls-key-file ${key}`,
    `tls-ca-cert-file ${certificate}`,
    'tls-auth-clients no',
    'tls-replication yes',
  ];
  const [primaryPort, sentinelPort] = [await freePort(), await freePort()];
  const primary = await startRedis({ configuration: lines(primaryPort) });
  ending.push(() => primary.stop());
  const sentinel = await startSentinel([...lines(sentinelPort), `sentinel monitor mine 127.0.0.1 ${primaryPort} 1`]);
  ending.push(() => sentinel.stop());
  const sentinels = { nodes: [{ host: '127.0.0.1', port: sentinelPort }], master: 'mine', password: null };
  const settings = { urls: ['rediss://nowhere.invalid'], cluster: false, sentinels };
  const client = connect({ ...settings, tlsRejectUnauthorized: false }, 'blocking');
  expect(await client.set('found', 'it')).toBe('OK');
  expect(((client as Redis).stream as TLSSocket).encrypted).toBe(true);
  const strict = connectRedis({ ...settings, tlsRejectUnauthorized: true }, 'prompt');
  ending.push(() => strict.disconnect());
  const [error] = await once(strict, 'error');
  expect(absenceOf(error)).toMatchObject({ kind: 'sentinel', reason: expect.stringMatching(/TLS/) });
}, 120_000);

test.each([
  ['no Sentinel is there', { REDIS_SENTINELS: '127.0.0.1:1,127.0.0.1:2' }, /REDIS_SENTINELS/],
  ['they know another name', { REDIS_SENTINEL_MASTER: 'somebody-else' }, /REDIS_SENTINEL_MASTER/],
  ['they want a password', { REDIS_SENTINEL_PASSWORD: '' }, /REDIS_SENTINEL_PASSWORD/],
  ['they want another password', { REDIS_SENTINEL_PASSWORD: 'a-wrong-one' }, /REDIS_SENTINEL_PASSWORD/],
])(
  'where %s Redis is away, and the service says which setting to look at',
  async (_, wrong, reason) => {
    const sentinels = await startSentinels({ sentinelPassword: 'of-the-sentinels' });
    const rollcall = await Deployment.start('sentinels unfit', { env: { ...sentinels.env, ...wrong } });
    ending.push(() => rollcall.stop());
    const { status, body } = await eventually(
      () => rest(rollcall.url, 'GET', '/readyz'),
      ({ body }) => reason.test(body.reasons.redis ?? ''),
      20_000,
    );
    expect(status).toBe(503);
    expect(body).toMatchObject({ ready: false, redis: false });
    for (const program of [rollcall.web(0), rollcall.worker(0)]) {
      await program.said(reason);
      expect(program.lines.length).toBeLessThan(30);
    }
    expect(rollcall.faults).toEqual([]);
  },
  120_000,
);
