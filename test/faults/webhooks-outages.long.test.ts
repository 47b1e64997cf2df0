import { afterEach, beforeEach, expect, test } from 'vitest';
import { rest, tokenFor } from '../support/client.ts';
import { eventually } from '../support/deployment.ts';
import { LONG_MS, WebhookWorld } from '../support/webhook-world.ts';

let world: WebhookWorld;

beforeEach(async () => {
  world = await WebhookWorld.start('webhook outages');
});
afterEach(() => world?.stop());

test('a receiver that does not answer within ten seconds is asked again', async () => {
  world.receiver.reactions = [null];
  await world.comes('ada');
  await world.allTold(1);
  const [, silent, taken] = world.receiver.calls;
  expect((taken?.at ?? 0) - (silent?.at ?? 0)).toBeGreaterThan(10_000);
  expect(taken?.delivery).toEqual(silent?.delivery);
});

test('a receiver that was away while people came and went, and a worker died, ends with exactly the truth', async () => {
  const { receiver, rollcall, queue } = world;
  const users = Array.from({ length: 20 }, (_, n) => `user-${n}`);
  const come = (some: string[]) => Promise.all(some.map((userId) => world.comes(userId)));
  await come(users.slice(0, 10));
  await world.allTold(10);
  await receiver.close();
  await come(users.slice(10));
  const failing = await eventually(
    async () => (await queue.getJob('deliver'))?.data,
    (data) => data?.failures >= 1,
    LONG_MS,
  );
  expect(failing).toMatchObject({ failingSince: expect.stringMatching(/Z$/), batch: { feed: expect.any(String) } });
  for (const userId of users.slice(0, 15)) world.goes(userId);
  await rollcall.worker(0).end();
  await come(users.slice(0, 5));
  await receiver.open();
  await world.allTold(40);
  const token = await tokenFor('host', { scope: 'presence:read' });
  for (const [n, userId] of users.entries()) {
    const { body } = await rest(rollcall.url, 'GET', `/users/${userId}/status`, { token });
    expect(receiver.view.get(userId)).toMatchObject(body);
    expect(body.status).toBe(n < 5 || n >= 15 ? 'active' : 'inactive');
  }
});

test('a batch that was on its way when its worker was killed comes again as it was', async () => {
  const { receiver, rollcall } = world;
  receiver.reactions = [null];
  await world.comes('ada');
  await world.isCalled(2);
  expect(await rollcall.redis.exists(`${rollcall.key('bull')}:webhooks:deliver:lock`)).toBe(1);
  // Whichever it was.
  await Promise.all(rollcall.workers.map((worker) => worker.end()));
  await world.comes('bob');
  await rollcall.addWorker();
  await world.allTold(2);
  expect(receiver.calls[2]?.delivery).toEqual(receiver.calls[1]?.delivery);
});

test('who was away for longer than changes are kept is told to begin anew, and misses nothing after that', async () => {
  const { receiver, rollcall } = world;
  await receiver.close();
  await world.comes('ada');
  await eventually(
    async () => (await rollcall.db('change_feed').first()).last_position,
    (last) => Number(last) === 1,
    LONG_MS,
  );
  // A try that failed is over: the next one reads anew.
  await eventually(
    () => world.queue.getDelayed(),
    (jobs) => jobs.some((job) => job.data.failures > 0),
    LONG_MS,
  );
  await rollcall.db('change_feed').update({ dropped_through: 1 });
  await receiver.open();
  await eventually(
    () => receiver.taken.map(({ delivery }) => delivery.reset),
    (resets) => resets.join() === 'true,true',
    LONG_MS,
  );
  world.goes('ada');
  const [change] = await world.hearsOf('ada', 1);
  expect(change?.status).toBe('inactive');
});
