import { afterAll, beforeAll, expect, test } from 'vitest';
import { runSeed, SIZE } from './laboratory/run.ts';
import { World } from './laboratory/world.ts';

// The short form, with one storm a seed. 20: webs and a worker killed, a drain, Redis paused, PostgreSQL starved. 25: a slow
// link, a worker killed, a failover. In both what says who may see whom is evicted, Redis goes back to an older dump,
// PostgreSQL to an older state, and people are erased. `npm run chaos` goes on from here.
const SEEDS = [20, 25];
let world: World;

beforeAll(async () => {
  world = await World.start(SIZE);
}, 300_000);
afterAll(() => world?.stop());

test.each(SEEDS)(
  'a storm and a quiet point of seed %i: nothing is found',
  async (seed) => {
    const { findings, report } = await runSeed({ seed, world, storms: 1, stormMs: 8000 });
    expect(findings, report).toEqual([]);
  },
  300_000,
);
