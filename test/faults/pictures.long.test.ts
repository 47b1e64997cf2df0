import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { eventually } from '../support/eventually.ts';
import { World } from './laboratory/world.ts';

let world: World;

beforeAll(async () => {
  world = await World.start({ webs: 2, workers: 1 });
}, 300_000);
afterAll(() => world?.stop());

const urlOf = (n: number) => `http://127.0.0.1:${world.webs[n]?.port}`;

test('who comes between the two questions of which a picture is made is active for the watcher', async () => {
  const [looks, other] = world.webs;
  if (!looks || !other) throw new Error('There are two webs');
  // PostgreSQL is asked by this web only after the user has come and that is recorded, but Redis before.
  looks.postgresLink.delay(1000);
  const observer = await tokenFor('observer', { scope: 'presence:read' });
  const watcher = new TestClient(urlOf(0), { token: observer, watch: ['between'] });
  try {
    // The web asks PostgreSQL once Redis has answered it.
    await eventually(
      () => Promise.resolve(looks.postgresLink.underWay),
      (pieces) => pieces > 0,
      10_000,
    );
    // It may have been the web's own look at whether PostgreSQL is there, and Redis is asked only just after it.
    await delay(150);
    const comes = await TestClient.connect(urlOf(1), 'between');
    await eventually(
      () => rest(urlOf(1), 'GET', '/users/between/history', { token: observer }),
      ({ status }) => status === 200,
      10_000,
    );
    looks.postgresLink.delay(0);
    await watcher.welcomed();
    const picture = watcher.ready?.users?.find(({ userId }) => userId === 'between');
    const event = await watcher.hears('between', ({ status }) => status === 'active');
    expect(picture?.status).toBe('inactive');
    expect(event.version).toBeGreaterThan(picture?.version ?? 0);
    comes.leave();
    watcher.leave();
  } finally {
    looks.postgresLink.mend();
  }
});
