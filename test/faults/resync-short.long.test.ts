import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { createLogger } from '../../src/log.ts';
import { changeSettings } from '../../src/postgres/social.ts';
import { connectRedis, type Temper } from '../../src/redis/connect.ts';
import { openStores } from '../../src/stores.ts';
import { tellPrivacy } from '../../src/usecases/privacy.ts';
import { isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';
import { Link } from '../support/link.ts';
import { LOSSES, missAndCatchUp, webBehindLink } from '../support/resync.ts';
import { ending } from './outage.ts';

let rollcall: Deployment;

beforeAll(async () => {
  rollcall = await Deployment.start('resync', { env: { ...CALM, AUDIENCE: 'watchers' } });
});
afterAll(() => rollcall?.stop());

async function connect(userId: string, url = rollcall.url, auth = {}): Promise<TestClient> {
  const client = await TestClient.connect(url, userId, auth);
  ending.push(() => client.leave());
  return client;
}

test.each(LOSSES)(
  'a web that lost Redis for five seconds (%s) tells its watchers by itself what they missed',
  async (loss) => {
    const { web, link } = await webBehindLink(rollcall);
    ending.push(
      () => link.close(),
      () => web.end(),
    );
    const watcher = await connect(`watcher-${loss}`, web.url, { watch: [] });
    const caughtUpMs = await missAndCatchUp({ rollcall, link, watcher, connect }, loss, 5000);
    expect(caughtUpMs).toBeLessThan(3000);
  },
);

test('a web that missed an erasure tells of it with a version that watchers take', async () => {
  const { web, link } = await webBehindLink(rollcall);
  ending.push(
    () => link.close(),
    () => web.end(),
  );
  const host = await tokenFor('host', { scope: 'presence:write' });
  const watcher = await connect('host', web.url, { token: host, watch: ['erased'] });
  const outside = await connect('erasure-outside', rollcall.url, { watch: ['erased'] });
  await connect('erased');
  const { version } = await watcher.hears('erased', isActive);
  link.cut();
  expect((await rest(rollcall.url, 'DELETE', '/users/erased', { token: host })).status).toBe(204);
  await outside.hears('erased', isInactive);
  await rollcall.redis.xtrim(rollcall.key('presence:{delivery}'), 'MAXLEN', 0);
  link.mend();
  await connect('last');
  const told = await watcher.hears('erased', isInactive);
  expect(told.lastSeen).toBe(null);
  expect(told.version).toBeGreaterThan(version);
});

test('a change that was told and that both stores lost is told back with a version that watchers take', async () => {
  const { web, link } = await webBehindLink(rollcall);
  ending.push(
    () => link.close(),
    () => web.end(),
  );
  const { db, redis } = rollcall;
  const [record, privacy, row] = [
    rollcall.key('user:sessions:open'),
    rollcall.key('user:privacy:open'),
    { id: 'open' },
  ];
  const host = await tokenFor('host', { scope: 'presence:write' });
  const watcher = await connect('looks-on', web.url, { watch: ['open'] });
  const user = await connect('open');
  const { version } = await watcher.hears('open', isActive);
  const before = await eventually(
    () => db('users').where(row).first(),
    (stored) => stored?.status === 'active',
  );
  const dump = await redis.dumpBuffer(record);
  expect(
    (await rest(rollcall.url, 'PUT', '/users/open/settings', { token: host, body: { visibility: 'nobody' } })).status,
  ).toBe(200);
  const hidden = await watcher.hears('open', isInactive);
  // A replica took over that had not heard of it, and so did one of PostgreSQL.
  link.cut();
  await redis.del(privacy);
  await redis.srem(rollcall.key('users:restricted'), 'open');
  await redis.restore(record, 0, dump, 'REPLACE');
  await db('user_settings').where({ user_id: 'open' }).delete();
  await db('privacy_changes').where({ user_id: 'open' }).delete();
  await db('users').where(row).update({ version: before.version, privacy_revision: before.privacy_revision });
  await user.beat();
  const outside = await connect('loss-outside', rollcall.url, { watch: ['missed'] });
  await connect('missed');
  await outside.hears('missed', isActive);
  await redis.xtrim(rollcall.key('presence:{delivery}'), 'MAXLEN', 0);
  link.mend();
  await connect('last-2');
  expect(hidden.version).toBeGreaterThan(version);
  await watcher.hears('open', (change) => isActive(change) && change.version > hidden.version);
  expect(watcher.disconnects).toEqual([]);
});

test('an audience of everyone sees somebody go who hid and was erased while Redis had lost them and their web was dead', async () => {
  const brief = { PRESENCE_TTL_SECONDS: '3', HEARTBEAT_INTERVAL_SECONDS: '1', HANDOVER_SECONDS: '1' };
  const [web, died] = await Promise.all([rollcall.addWeb({ AUDIENCE: 'everyone', ...brief }), rollcall.addWeb()]);
  const config = readConfig({ ...rollcall.env, LOG_LEVEL: 'fatal' });
  const stores = openStores(config, createLogger(config, 'web'));
  ending.push(
    () => web.end(),
    () => stores.close(),
  );
  const host = await tokenFor('host', { scope: 'presence:write' });
  const watcher = await connect('everyone', web.url);
  await connect('hid', died.url, { watch: [] });
  await watcher.hears('hid', isActive);
  await died.end();
  await changeSettings(stores.db, 'hid', { visibility: 'nobody' });
  const { redis } = rollcall;
  const names = ['user:sessions', 'user:status', 'user:last_seen', 'user:privacy'].map((name) => `${name}:hid`);
  await redis.del(...[...names, 'presence:epoch'].map((name) => rollcall.key(name)));
  // As a worker does that compares the stores afterwards.
  await tellPrivacy(stores, 'hid', null);
  expect((await rest(rollcall.url, 'DELETE', '/users/hid', { token: host })).status).toBe(204);
  await watcher.hears('hid', isInactive, { withinMs: 15_000 });
});

test.each<Temper>(['prompt', 'reading'])(
  'a connection that the network forgot without a word is given up for a new one (%s)',
  async (temper) => {
    const address = new URL(rollcall.env.REDIS_URL ?? '');
    const link = await Link.to(Number(address.port));
    ending.push(() => link.close());
    address.port = String(link.port);
    const redis = connectRedis({ urls: [address.href], cluster: false, tlsRejectUnauthorized: true }, temper);
    redis.on('error', () => {});
    ending.push(() => redis.disconnect());
    const ask = () =>
      Promise.race([redis.ping(), new Promise<null>((resolve) => setTimeout(resolve, 100, null))]).catch(() => null);
    await eventually(ask, (answer) => answer === 'PONG');
    link.forget();
    expect(await ask()).toBe(null);
    await eventually(ask, (answer) => answer === 'PONG', 8000);
  },
);

test('and so a web whose lines to Redis were forgotten goes on within seconds, and loses nobody', async () => {
  const env = { PRESENCE_TTL_SECONDS: '20', HEARTBEAT_INTERVAL_SECONDS: '2' };
  const { web, link } = await webBehindLink(rollcall, env);
  ending.push(
    () => link.close(),
    () => web.end(),
  );
  const watcher = await connect('watcher-forgotten', web.url, { watch: ['beats-on', 'late'], heartbeat: 'pong' });
  const outside = await connect('watcher-outside', rollcall.url, { watch: ['beats-on'] });
  await connect('beats-on', web.url, { heartbeat: 'pong', watch: [] });
  await watcher.hears('beats-on', isActive);
  link.forget();
  await connect('late');
  await watcher.hears('late', isActive, { withinMs: 10_000 });
  const beat = () => rollcall.redis.get(rollcall.key('user:last_seen:beats-on'));
  const before = await beat();
  await eventually(beat, (iso) => iso !== before, 10_000);
  expect(outside.statuses('beats-on')).toEqual(['active']);
});
