import { Cluster } from 'ioredis';
import { expect, test } from 'vitest';
import { rest, type TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';
import { ownRedis, privatePostgres } from '../support/stores.ts';
import { connect, ending } from './outage.ts';

const TEAM = 'team';

async function deploy(name: string) {
  const [redis, { postgres, databaseUrl }] = await Promise.all([ownRedis(), privatePostgres()]);
  ending.push(
    () => redis.stop(),
    () => postgres.stop(),
  );
  const rollcall = await Deployment.start(name, { redisUrl: redis.url, databaseUrl, webs: 2, env: CALM });
  ending.push(() => rollcall.stop());
  for (const userId of ['eve', 'bob', 'cyd']) expect(await admit(rollcall, 'PUT', userId)).toBe(204);
  return { rollcall, redis, postgres };
}

async function admit({ url }: { url: string }, method: 'PUT' | 'DELETE', userId: string): Promise<number> {
  const token = await tokenFor('host', { scope: 'presence:write' });
  return (await rest(url, method, `/conversations/${TEAM}/members/${userId}`, { token })).status;
}

const join = ({ socket }: TestClient) => socket.emitWithAck('join_conversation', { conversationId: TEAM });
const say = (event: 'start_indicator' | 'stop_indicator', { socket }: TestClient) =>
  socket.emitWithAck(event, { conversationId: TEAM, kind: 'typing' });
const forbidden = { ok: false, error: expect.objectContaining({ code: 'FORBIDDEN' }) };

async function joined(url: string, userId: string): Promise<{ client: TestClient; heard: string[] }> {
  const client = await connect(url, userId, { watch: [] });
  const heard: string[] = [];
  client.socket.on('indicator_change', ({ userId: who, active }) => heard.push(`${who} ${active}`));
  expect(await join(client)).toEqual({ ok: true });
  return { client, heard };
}

/** Whoever is in no conversation cannot begin to type there. */
const isOut = (client: TestClient) =>
  eventually(
    () => say('stop_indicator', client),
    (answer) => !answer.ok && answer.error.code === 'FORBIDDEN',
    20_000,
  );

/** Begins to type, once that can be told, and waits until a member has heard of it. */
async function types(typist: TestClient, listener: { heard: string[] }): Promise<void> {
  await eventually(
    () => say('start_indicator', typist),
    (answer) => answer.ok,
    20_000,
  );
  await eventually(
    () => listener.heard.length,
    (count) => count > 0,
  );
}

const mastersOf = ({ redis }: Deployment) => (redis instanceof Cluster ? redis.nodes('master') : [redis]);

/** While it lasts every Redis answers, but takes no write. */
async function withoutWrites<T>(rollcall: Deployment, work: () => Promise<T>): Promise<T> {
  await Promise.all(mastersOf(rollcall).map((master) => master.client('PAUSE', 30_000, 'WRITE')));
  try {
    return await work();
  } finally {
    await Promise.all(mastersOf(rollcall).map((master) => master.client('UNPAUSE')));
  }
}

test('who is removed while Redis takes no writes is put out and let in no more once it does, without being asked again', async () => {
  const { rollcall } = await deploy('members refused');
  const eve = await joined(rollcall.web(0).url, 'eve');
  const cyd = await joined(rollcall.web(0).url, 'cyd');
  const bob = await joined(rollcall.web(1).url, 'bob');
  expect(await withoutWrites(rollcall, () => admit(rollcall, 'DELETE', 'eve'))).toBe(503);
  await isOut(eve.client);
  await types(bob.client, cyd);
  expect(eve.heard).toEqual([]);
  expect(await join(eve.client)).toEqual(forbidden);
  expect(await join(await connect(rollcall.web(1).url, 'eve', { watch: [] }))).toEqual(forbidden);
  await eventually(
    () => rollcall.db('membership_changes'),
    (waiting) => waiting.every(({ applied_at }) => applied_at !== null),
  );
}, 120_000);

test('after an outage of Redis each web puts out who is a member no more, though nobody is left to tell it of the removal', async () => {
  const { rollcall, redis } = await deploy('members checked');
  const eve = await joined(rollcall.web(0).url, 'eve');
  const cyd = await joined(rollcall.web(0).url, 'cyd');
  const bob = await joined(rollcall.web(1).url, 'bob');
  const also = await joined(rollcall.web(1).url, 'eve');
  await rollcall.worker(0).end();
  await redis.shutdown();
  await rollcall.db('conversation_members').where({ user_id: 'eve' }).delete();
  await rollcall.db('membership_changes').delete();
  await redis.start();
  for (const { client } of [eve, also]) await isOut(client);
  // What Redis kept from before is not believed either.
  for (const { client } of [eve, also]) expect(await join(client)).toEqual(forbidden);
  await rollcall.addWorker();
  await types(bob.client, cyd);
  expect([...eve.heard, ...also.heard]).toEqual([]);
}, 120_000);

test('a web that missed the news of a removal because it stood still puts out who is a member no more', async () => {
  const { rollcall } = await deploy('members missed');
  const [frozen, other] = [rollcall.web(0), rollcall.web(1)];
  const eve = await joined(frozen.url, 'eve');
  frozen.kill('SIGSTOP');
  ending.push(() => frozen.kill('SIGCONT'));
  const stream = rollcall.key('presence:{delivery}');
  // The first is on its line already when it stops; the other is not.
  for (const userId of ['cyd', 'eve']) {
    expect(await admit(other, 'DELETE', userId)).toBe(204);
    await eventually(
      async () =>
        (await rollcall.redis.xrange(stream, '-', '+')).flatMap(([, fields]) => JSON.parse(fields[3] ?? '').items),
      (items) => items.some((item) => item.kind === 'expelled' && item.userId === userId),
    );
  }
  // Nobody tells it once more, and what was told is no longer there: as after half a minute.
  await rollcall.worker(0).end();
  await rollcall.redis.xtrim(stream, 'MAXLEN', 0);
  frozen.kill('SIGCONT');
  await isOut(eve.client);
}, 120_000);

test('where PostgreSQL is away too when Redis comes back, nobody is let in by what was kept, and the check waits for it', async () => {
  const { rollcall, redis, postgres } = await deploy('members unknown');
  const eve = await joined(rollcall.web(0).url, 'eve');
  const bob = await joined(rollcall.web(0).url, 'bob');
  await redis.shutdown();
  await rollcall.db('conversation_members').where({ user_id: 'eve' }).delete();
  await rollcall.db('membership_changes').delete();
  await postgres.shutdown();
  await redis.start();
  const again = await eventually(
    () => connect(rollcall.web(1).url, 'eve', { watch: [] }).catch(() => null),
    (client) => client !== null,
    20_000,
  );
  if (!again) throw new Error('nobody');
  expect(await join(again)).toMatchObject({ ok: false, error: { code: 'UNAVAILABLE' } });
  await postgres.start();
  await isOut(eve.client);
  expect(
    await eventually(
      () => join(again),
      (answer) => !answer.ok && answer.error.code !== 'UNAVAILABLE',
      20_000,
    ),
  ).toEqual(forbidden);
  // Who is a member has been in it all the time.
  expect((await say('start_indicator', bob.client)).ok).toBe(true);
}, 120_000);
