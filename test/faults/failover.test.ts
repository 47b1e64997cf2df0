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
