import { afterAll, beforeAll, expect, test } from 'vitest';
import { block, changeSettings } from '../../src/postgres/social.ts';
import { isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';

let rollcall: Deployment;
beforeAll(async () => {
  rollcall = await Deployment.start('social flow', { webs: 2, env: CALM });
});
afterAll(() => rollcall?.stop());

const gone = { status: 'inactive', lastSeen: null };

async function as(userId: string, method: string, path: string, body?: object) {
  const { status } = await rest(rollcall.url, method, path, { token: await tokenFor(userId), body });
  expect(status).toBeLessThan(300);
}
async function host(method: string, path: string) {
  const token = await tokenFor('host', { scope: 'presence:write' });
  expect((await rest(rollcall.url, method, path, { token })).status).toBe(204);
}

/** Two who are here, each on a web of their own, the first watching the second. */
async function pair(watcherId: string, userId: string) {
  const user = await TestClient.connect(rollcall.web(0).url, userId);
  const watcher = await TestClient.connect(rollcall.web(1).url, watcherId, { watch: [userId] });
  return { user, watcher, leave: () => [user, watcher].map((client) => client.leave()) };
}

test('a block is told to who loses sight as if the user had left, and its end as the truth', async () => {
  const { watcher, leave } = await pair('ada', 'bob');
  await as('bob', 'PUT', '/users/bob/blocks/ada');
  const lost = await watcher.hears('bob', isInactive);
  expect(lost).toMatchObject(gone);
  await as('bob', 'DELETE', '/users/bob/blocks/ada');
  const regained = await watcher.hears('bob', isActive);
  expect(regained.version).toBeGreaterThan(lost.version);
  expect(watcher.statuses('bob')).toEqual(['inactive', 'active']);
  leave();
});

test('the end of a friendship is felt at once where friends alone may see', async () => {
  await host('PUT', '/users/cid/friends/dan');
  await as('dan', 'PUT', '/users/dan/settings', { visibility: 'friends' });
  const { watcher, leave } = await pair('cid', 'dan');
  expect(watcher.ready?.users).toMatchObject([{ userId: 'dan', status: 'active' }]);
  await as('cid', 'DELETE', '/users/cid/friends/dan');
  expect(await watcher.hears('dan', isInactive, { withinMs: 2000 })).toMatchObject(gone);
  await host('PUT', '/users/dan/friends/cid');
  await watcher.hears('dan', isActive, { withinMs: 2000 });
  leave();
});

test('a change whose web died before it told anybody reaches watchers within seconds, and is dropped later', async () => {
  const { watcher, leave } = await pair('eve', 'fay');
  // What such a web leaves behind: the change in PostgreSQL and not a word to Redis.
  await changeSettings(rollcall.db, 'fay', { visibility: 'nobody' });
  expect(await watcher.hears('fay', isInactive, { withinMs: 5000 })).toMatchObject(gone);
  const row = await eventually(
    () => rollcall.db('privacy_changes').where({ user_id: 'fay' }).first(),
    (change) => change.applied_at !== null,
  );
  await rollcall
    .db('privacy_changes')
    .where({ user_id: 'fay' })
    .update({ applied_at: new Date(row.made_at - 31_000) });
  await eventually(
    () => rollcall.db('privacy_changes').where({ user_id: 'fay' }),
    (rows) => rows.length === 0,
  );
  leave();
});

test('a block whose web died is told to both sides', async () => {
  const one = await pair('gus', 'hal');
  const other = await pair('hal', 'gus');
  await block(rollcall.db, 'gus', 'hal');
  await one.watcher.hears('hal', isInactive, { withinMs: 5000 });
  await other.watcher.hears('gus', isInactive, { withinMs: 5000 });
  for (const { leave } of [one, other]) leave();
});

test('nothing of it was a fault', () => {
  expect(rollcall.faults).toEqual([]);
});
