import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTestStores, type TestStores } from '../support/stores.ts';
import { doStep } from './doings.ts';
import { ModelTime } from './model-time.ts';
import { steps } from './steps.ts';
import { World } from './world.ts';

/**
 * The same sequences in every run, so that a change is judged by what it changes. PROPERTY_SEED begins elsewhere (with the
 * seed that a failure printed, or any other), PROPERTY_SECONDS looks for longer.
 */
const { PROPERTY_SEED = '1', PROPERTY_SECONDS = '12' } = process.env;
const limitMs = Number(PROPERTY_SECONDS) * 1000;
const RUNS_AT_ONCE = 10;

let stores: TestStores;
let time: ModelTime;

beforeAll(async () => {
  stores = await openTestStores('rules');
  time = new ModelTime(stores.redisUrl, stores.redisPrefix);
});

afterAll(async () => {
  time.redis.disconnect();
  await stores.close();
});

test('whatever happens in whatever order, the scripts do what the rules say', {
  timeout: limitMs + 600_000,
}, async () => {
  const world = new World(time, stores.redisPrefix);
  const property = fc.asyncProperty(steps, async (all) => {
    await world.begin();
    for (const step of all) await world.step(() => doStep(world, step));
  });
  const until = performance.now() + limitMs;
  let runs = 0;
  // In portions, because a time limit of the library's own would cut short the search for the shortest failure, too.
  for (let seed = Number(PROPERTY_SEED); performance.now() < until; seed++) {
    const details = await fc.check(property, {
      seed,
      numRuns: RUNS_AT_ONCE,
    });
    if (details.failed) throw new Error(fc.defaultReportMessage(details), { cause: details.errorInstance });
    runs += details.numRuns;
  }
  expect(runs).toBeGreaterThan(0);
  console.log(`${runs} random sequences`);
});
