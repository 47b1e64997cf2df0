import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Laboratory } from './laboratory/laboratory.ts';
import { World } from './laboratory/world.ts';

// A replica takes over that has not heard of what was acknowledged last.
const SIZE = { people: 1, webs: 2, workers: 2 };
let world: World;

beforeAll(async () => {
  world = await World.start(SIZE);
}, 300_000);
afterAll(() => world?.stop());

const told = (findings: { kind: string; text: string }[]) => findings.map(({ kind, text }) => `${kind}: ${text}`);

test('who chose to appear inactive just before a failover that lost it is hidden again by itself', async () => {
  const laboratory = await Laboratory.open({ ...SIZE, prefix: 'hides', world });
  const ada = laboratory.person(0);
  await ada.device(0).come(0);
  await laboratory.until(() => laboratory.everyoneSees(ada, 'active'));
  world.redis.isolateReplica();
  await ada.hide();
  await laboratory.until(() => laboratory.everyoneSees(ada, 'inactive'));
  await world.redis.failOver();
  await laboratory.quiet();
  expect(told(await laboratory.judge())).toEqual([]);
}, 120_000);

test('whose coming a failover lost, and whose web died with it, does not stay active in any view', async () => {
  const laboratory = await Laboratory.open({ ...SIZE, prefix: 'comes', world });
  const bob = laboratory.person(0);
  world.redis.isolateReplica();
  await bob.device(0).come(0);
  await laboratory.until(() => laboratory.everyoneSees(bob, 'active'));
  bob.device(0).wanted = false;
  await world.webs[0]?.kill();
  await world.redis.failOver();
  await laboratory.quiet();
  expect(told(await laboratory.judge())).toEqual([]);
}, 120_000);

test('whose last sign of life a failover lost was not seen longer ago than others were told', async () => {
  const laboratory = await Laboratory.open({ ...SIZE, prefix: 'seen', world });
  const cyd = laboratory.person(0);
  await cyd.device(0).come(0);
  await laboratory.until(() => laboratory.everyoneSees(cyd, 'active'));
  world.redis.isolateReplica();
  const isolatedAt = Date.now();
  // Later than what the replica knows by more than the second that the stores may be apart.
  await laboratory.until(() => (cyd.device(0).lives.findLast(({ sure }) => sure)?.from ?? 0) > isolatedAt + 1200);
  await cyd.device(0).leave();
  await laboratory.until(() => laboratory.everyoneSees(cyd, 'inactive'));
  await world.redis.failOver();
  await laboratory.quiet();
  expect(told(await laboratory.judge())).toEqual([]);
}, 120_000);

test('who was told away, which a failover lost, and came back at once is active in every view', async () => {
  const laboratory = await Laboratory.open({ ...SIZE, prefix: 'again', world });
  const dee = laboratory.person(0);
  await dee.device(0).come(0);
  await laboratory.until(() => laboratory.everyoneSees(dee, 'active'));
  world.redis.isolateReplica();
  await dee.device(0).leave();
  await laboratory.until(() => laboratory.everyoneSees(dee, 'inactive'));
  await world.redis.failOver();
  // The replica still takes them for active: nothing changes for it.
  await dee.device(0).come(0);
  await laboratory.until(() => dee.device(0).alive);
  await laboratory.quiet();
  expect(told(await laboratory.judge())).toEqual([]);
}, 120_000);

test.each([
  ['says goodbye', 'leave'],
  ['signs out', 'logOut'],
] as const)(
  'who has another device that a failover lost is not told away when the one it knows %s',
  async (_, how) => {
    const laboratory = await Laboratory.open({ ...SIZE, people: 2, prefix: `lost-${how}`, world });
    const eve = laboratory.person(1);
    await eve.device(0).come(0);
    await laboratory.until(() => laboratory.everyoneSees(eve, 'active'));
    world.redis.isolateReplica();
    await eve.device(1).come(1);
    await laboratory.until(() => eve.device(1).alive);
    // The web that alone knows of that device is back a little later than all others.
    const [first, second] = world.webs;
    second?.redisLink.refuse();
    await world.redis.failOver();
    while ((await fetch(`http://127.0.0.1:${first?.port}/readyz`)).status !== 200) await delay(20);
    await eve.device(0)[how]();
    await delay(300);
    second?.redisLink.mend();
    await laboratory.quiet();
    expect(told(await laboratory.judge())).toEqual([]);
  },
  120_000,
);
