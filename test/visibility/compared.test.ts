import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKeys, shardOf } from '../../src/redis/keys.ts';
import { rest, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';

/** A worker that starts compares what Redis keeps of who may see whom with PostgreSQL. */
let rollcall: Deployment;
beforeAll(async () => {
  rollcall = await Deployment.start('compared', { workers: 0, env: CALM });
});
afterAll(() => rollcall?.stop());

const key = (userId: string) => rollcall.key(`user:privacy:${userId}`);
const record = (userId: string) => rollcall.key(`user:sessions:${userId}`);

async function hide(userId: string): Promise<void> {
  const token = await tokenFor(userId);
  const { status } = await rest(rollcall.url, 'PUT', `/users/${userId}/settings`, {
    token,
    body: { visibility: 'nobody' },
  });
  expect(status).toBe(200);
}
const isThere = (userId: string) =>
  eventually(
    () => rollcall.redis.hget(key(userId), 'v'),
    (visibility) => visibility === 'n',
  );

test('one user whose keys are spoilt keeps nobody else from being compared, and is mended once they are not', async () => {
  const [spoilt, ...others] = ['a-spoilt', 'b-other', 'c-other'];
  for (const userId of [spoilt, ...others]) await hide(userId ?? '');
  await rollcall.redis.del(...[spoilt, ...others].map((userId) => key(userId ?? '')));
  await rollcall.redis.set(record(spoilt ?? ''), 'no record');

  const worker = await rollcall.addWorker();
  for (const userId of others) await isThere(userId);
  await worker.said(/Who may see whom could not be compared/);
  await rollcall.redis.del(record(spoilt ?? ''));
  await isThere(spoilt ?? '');
});

test('of an id that somebody made up to block it, nothing is kept for long once the block has ended', async () => {
  const token = await tokenFor('troll');
  const path = '/users/troll/blocks/made-up';
  expect((await rest(rollcall.url, 'PUT', path, { token })).status).toBe(204);
  expect(await rollcall.redis.pttl(key('made-up'))).toBeLessThanOrEqual(3_600_000);
  expect((await rest(rollcall.url, 'DELETE', path, { token })).status).toBe(204);
  expect(await rollcall.redis.pttl(key('made-up'))).toBeLessThanOrEqual(30_000);
  const keys = createKeys(rollcall.prefix, rollcall.env.REDIS_CLUSTER === 'true');
  expect(await rollcall.redis.sismember(keys.restricted(shardOf('made-up')), 'made-up')).toBe(0);
});
