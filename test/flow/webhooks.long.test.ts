import type { Job } from 'bullmq';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { rest, tokenFor } from '../support/client.ts';
import { eventually } from '../support/deployment.ts';
import { samplesOf } from '../support/metrics.ts';
import { isOfUser } from '../support/webhook-receiver.ts';
import { LONG_MS, VIP, WebhookWorld } from '../support/webhook-world.ts';

let world: WebhookWorld;
/** Of this test. */
const calls = () => world.receiver.calls.slice(before);
let before = 0;

beforeAll(async () => {
  world = await WebhookWorld.start('webhooks');
});
afterAll(() => world?.stop());
beforeEach(() => {
  before = world.receiver.calls.length;
});

test('transitions come signed, in batches and in order, once each, from one of two workers at a time', async () => {
  const { receiver } = world;
  await world.comes('first');
  const [first] = await world.hearsOf('first', 1);
  expect(first).toMatchObject({ status: 'active', cause: 'connect', lastSeen: expect.any(String) });
  world.goes('first');
  // Slow enough for a batch to gather while another is on its way, also where the comings themselves are slow.
  receiver.standing = { status: 200, afterMs: 250 };
  const users = Array.from({ length: 60 }, (_, n) => `user-${n}`);
  for (let round = 0; round < 2; round++) {
    await Promise.all(users.map((userId) => world.comes(userId)));
    for (const userId of users) world.goes(userId);
    // Whoever comes before they are known to have left has not left.
    const recorded = 2 + 60 * 2 * (round + 1);
    await eventually(
      async () => (await world.transitions()).length,
      (count) => count === recorded,
      LONG_MS,
    );
  }
  await world.allTold(2 + 60 * 2 * 2);
  receiver.standing = { status: 204 };
  expect(receiver.mostAtOnce).toBe(1);
  const sizes = receiver.taken.map(({ delivery }) => delivery.changes.length);
  expect(Math.max(...sizes)).toBeGreaterThan(10);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(100);
  expect([...receiver.view.values()].every((change) => change.status === 'inactive')).toBe(true);
  expect(new Set(receiver.taken.map(({ delivery }) => delivery.id)).size).toBe(receiver.taken.length);
  expect(world.rollcall.faults.filter((line) => line.includes('The change feed'))).toEqual([]);
});

test('what is not taken comes again as it was, later and later, and nothing overtakes it', async () => {
  world.receiver.reactions = [{ status: 500 }, { status: 302, headers: { location: '/elsewhere' } }, { status: 404 }];
  await world.comes('slow');
  await world.isCalled(before + 1);
  await world.comes('next');
  await world.hearsOf('next', 1);
  const [again, ...others] = calls()
    .slice(0, 4)
    .map(({ delivery }) => delivery);
  expect(others).toHaveLength(3);
  for (const other of others) expect(other).toEqual(again);
  const [a = 0, b = 0, c = 0, d = 0] = calls().map(({ at }) => at);
  expect(b - a).toBeGreaterThan(450);
  expect(c - b).toBeGreaterThan(950);
  expect(d - c).toBeGreaterThan(1950);
  expect(calls().flatMap(({ delivery }) => delivery.changes.filter(isOfUser).map((change) => change.userId))).toEqual([
    ...Array(4).fill('slow'),
    'next',
  ]);
  expect(await world.queue.getJobCounts('failed')).toEqual({ failed: 0 });
});

test('a receiver says when it wants to be called again', async () => {
  world.receiver.reactions = [{ status: 503, headers: { 'retry-after': '6' } }];
  await world.comes('later');
  // Meanwhile whoever runs it sees how far behind it is, at most three seconds later: figures are kept for so long.
  const behind = async () =>
    (await samplesOf(world.rollcall.url)).get('rollcall_webhook_behind_oldest_seconds{webhook="default"}') ?? 0;
  await eventually(behind, (seconds) => seconds > 0.5);
  await world.hearsOf('later', 1);
  const [refused, taken] = calls();
  expect((taken?.at ?? 0) - (refused?.at ?? 0)).toBeGreaterThan(5950);
  await eventually(behind, (seconds) => seconds === 0, LONG_MS);
});

test('a receiver that has nothing to wait for is called no more often than one that does not say', async () => {
  const said = ['0', new Date(Date.now() - 5000).toUTCString(), '0.5', '-1'];
  world.receiver.reactions = said.map((value) => ({ status: 503, headers: { 'retry-after': value } }));
  await world.comes('hasty');
  await world.hearsOf('hasty', 1);
  const at = calls().map((call) => call.at);
  expect(at).toHaveLength(5);
  // A second and twice as long each time, less up to half of it.
  for (const [n, least] of [450, 950, 1950, 3950].entries()) {
    expect((at[n + 1] ?? 0) - (at[n] ?? 0), `before call ${n + 2}`).toBeGreaterThan(least);
  }
});

test('a batch that the receiver refuses is put aside, for the board to send again, and the others go on', async () => {
  const { receiver, queue } = world;
  receiver.reactions = [{ status: 422 }];
  await world.comes('refused');
  const [failed] = await eventually(
    () => queue.getFailed(),
    (jobs: Job[]) => jobs.length === 1,
    LONG_MS,
  );
  expect(failed).toMatchObject({ name: 'refused', failedReason: 'The receiver answered 422', data: { changes: 1 } });
  // It says where the changes stand, and not whose they are.
  expect(Object.keys(failed?.data)).toEqual(['batch', 'delivery', 'changes', 'reason']);
  await world.comes('another');
  await world.hearsOf('another', 1);
  expect(receiver.of('refused')).toEqual([]);

  await failed?.retry();
  await world.hearsOf('refused', 1);
  expect(receiver.taken.at(-1)?.delivery).toEqual(calls()[0]?.delivery);
  await eventually(
    () => queue.getJobCounts('failed'),
    ({ failed: left }) => left === 0,
    LONG_MS,
  );
});

test('a batch that is too large for the receiver comes in halves, in order; a change that is too large alone is put aside', async () => {
  const { receiver, queue } = world;
  receiver.most = 3;
  const users = Array.from({ length: 16 }, (_, n) => `large-${n}`);
  // While the first of them waits, the others gather.
  receiver.reactions = [{ status: 503, headers: { 'retry-after': '2' } }];
  await Promise.all(users.map((userId) => world.comes(userId)));
  for (const userId of users) await world.hearsOf(userId, 1);
  const taken = calls().filter(({ status }) => status === 204);
  expect(calls().some(({ status, delivery }) => status === 413 && delivery.changes.length > 3)).toBe(true);
  expect(taken.every(({ delivery }) => delivery.changes.length <= 3)).toBe(true);
  const told = taken.flatMap(({ delivery }) => delivery.changes.filter(isOfUser));
  expect(new Set(told.map(({ userId }) => userId))).toEqual(new Set(users));
  expect(told).toHaveLength(users.length);
  expect(await queue.getJobCounts('failed')).toEqual({ failed: 0 });

  receiver.most = 0;
  await world.comes('alone');
  const [failed] = await eventually(
    () => queue.getFailed(),
    (jobs: Job[]) => jobs.length === 1,
    LONG_MS,
  );
  expect(failed).toMatchObject({ failedReason: 'The receiver answered 413', data: { changes: 1 } });
  receiver.most = Number.POSITIVE_INFINITY;
  await failed?.retry();
  await world.hearsOf('alone', 1);
});

test('a user who is erased is told of as such', async () => {
  await world.comes('erased');
  await world.hearsOf('erased', 1);
  const token = await tokenFor('host', { scope: 'presence:write' });
  expect((await rest(world.rollcall.url, 'DELETE', '/users/erased', { token })).status).toBe(204);
  const [came, last] = await world.hearsOf('erased', 2);
  expect(last).toMatchObject({ status: 'inactive', cause: 'erased', lastSeen: null });
  expect(last?.version).toBeGreaterThan(came?.version ?? 0);
});

test('a webhook of its own is told of its users alone, in order, and while it is down no other waits for it', async () => {
  const { receiver, vip, queue, rollcall } = world;
  const heard = () => vip.changes.map(({ userId, status }) => `${userId} ${status}`);
  await vip.close();
  await world.comes(`${VIP}ada`);
  const failing = await eventually(
    async () => (await queue.getJob('deliver-vip'))?.data,
    (data) => data?.failures >= 1,
    LONG_MS,
  );
  expect(failing).toMatchObject({ webhook: 'vip', failingSince: expect.stringMatching(/Z$/) });
  await world.comes('ordinary');
  await world.hearsOf('ordinary', 1);
  await world.hearsOf(`${VIP}ada`, 1);
  // Figures are kept for three seconds.
  await eventually(
    async () => (await samplesOf(rollcall.url)).get('rollcall_webhook_behind_changes{webhook="vip"}'),
    (behind = 0) => behind > 0,
    LONG_MS,
  );
  world.goes(`${VIP}ada`);
  await world.hearsOf(`${VIP}ada`, 2);
  await vip.open();
  await eventually(heard, (changes) => changes.length >= 2, LONG_MS);
  expect(heard()).toEqual([`${VIP}ada active`, `${VIP}ada inactive`]);
  expect(vip.taken.at(-1)?.delivery.id).toMatch(/^[0-9a-f]{8}-\d+-\d+-vip$/);
  expect(receiver.taken.at(-1)?.delivery.id).toMatch(/^[0-9a-f]{8}-\d+-\d+$/);

  // What one refuses is its own affair, too.
  vip.reactions = [{ status: 422 }];
  await world.comes(`${VIP}bob`);
  const [refused] = await eventually(
    () => queue.getFailed(),
    (jobs: Job[]) => jobs.length === 1,
    LONG_MS,
  );
  expect(refused?.data).toMatchObject({ webhook: 'vip', changes: 1 });
  await world.hearsOf(`${VIP}bob`, 1);
  await refused?.retry();
  await eventually(heard, (changes) => changes.at(-1) === `${VIP}bob active`, LONG_MS);
});

test('what a webhook is told of that is no more in the settings goes nowhere, and stands in nobody’s way', async () => {
  const { queue } = world;
  const data = { webhook: 'left', batch: null, failures: 0, failingSince: null };
  const job = await queue.add('deliver', data, { jobId: 'deliver-left', attempts: 3 });
  await eventually(
    () => job.getState(),
    (state) => state === 'completed',
    LONG_MS,
  );
  expect((await queue.getJob('deliver-left'))?.returnvalue).toEqual({
    dropped: 'there is no webhook left in the settings',
  });
});
