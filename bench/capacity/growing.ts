import { setTimeout as pause } from 'node:timers/promises';
import { say } from '../measure/figure.ts';
import { heartbeatsBehind } from '../measure/gauges.ts';
import { noteSlow } from '../measure/redis-figures.ts';
import { Scrape } from '../measure/scrape.ts';
import { short } from '../measure/statistics.ts';
import { behind, bottleneck, outOfMemory } from './limits.ts';
import { type Habit, type Place, startPlace } from './place.ts';
import { coresDuring, measureStep, memoryOf, type Step, type Times } from './step.ts';
import type { Empty } from './tables.ts';

const EMPTY_SECONDS = 10;
const STARTS_MS = 5000;
/** As fast as they can, mostly: that is not what is measured. */
const COME_A_SECOND = 3000;
const AT_ONCE = 10_000;
/** Where fewer come, the machine has nothing left. */
const FEWEST_A_SECOND = 200;
const IN_TIME_MS = 5000;
const RECOVERS_SECONDS = 30;
const SLOW_MS = 50;
/** Who came since the last step is worth a look of its own where there are so many times as many. */
const WORTH_A_STEP = 1.2;

export interface Growth {
  empty: Empty;
  steps: Step[];
  /** Why it did not grow any more; null: it reached the last size. */
  stopped: string | null;
}

/** A deployment grows from size to size, and is looked at on each, for as long as this machine can hold it. */
export async function growThrough(sizes: number[], habit: Habit, times: Times): Promise<Growth> {
  const place = await startPlace(habit);
  try {
    await pause(STARTS_MS);
    const cores = await coresDuring(place, () => pause(EMPTY_SECONDS * 1000));
    const empty = { cores, memory: await memoryOf(place) };
    const steps: Step[] = [];
    let stopped: string | null = null;
    for (const size of sizes) {
      const before = await Scrape.of(place.metricsPort);
      await noteSlow(place.redis, SLOW_MS);
      const from = performance.now();
      try {
        stopped = outOfMemory(memoryFor(size, empty, steps)) ?? (await grow(place, size));
        const { size: users } = place.population;
        say(`${short(users)} users are here, ${short((performance.now() - from) / 1000)} s later`);
        if (stopped !== null && users < WORTH_A_STEP * (steps.at(-1)?.users ?? 0)) break;
        const step = await measureStep(place, times, before);
        steps.push(step);
        say(
          `Redis ${short(step.moving.redis ?? 0)} cores, sessions ${short(step.moving.sessions ?? 0)}, ` +
            `worker ${short(step.moving.worker ?? 0)}; machine ${Math.round(step.machine * 100)} % busy`,
        );
        stopped ??= bottleneck(step, habit);
      } catch (error) {
        // What was seen so far stays: somebody was refused, or a store did not answer.
        stopped = `with ${short(place.population.size)} users, ${error instanceof Error ? error.message.split('\n')[0] : error}`;
      }
      if (stopped !== null) {
        say(stopped);
        break;
      }
    }
    return { empty, steps, stopped };
  } finally {
    await place.stop();
  }
}

/** Until there are so many, or until something is too small for them: what. */
async function grow(place: Place, size: number): Promise<string | null> {
  const { population } = place;
  await population.prepare(size);
  while (population.size < size) {
    const users = Math.min(AT_ONCE, size - population.size);
    const from = performance.now();
    await population.grow(users, COME_A_SECOND);
    const aSecond = (users * 1000) / (performance.now() - from);
    if (aSecond < FEWEST_A_SECOND && users === AT_ONCE) return `no more than ${short(aSecond)} users a second can come`;
    const stopped = (await heartbeatsCome(place)) ?? outOfMemory(0);
    if (stopped !== null) return stopped;
  }
  return null;
}

/** More come once the heartbeats of those who are here do. */
async function heartbeatsCome(place: Place): Promise<string | null> {
  let stopped: string | null = null;
  for (let second = 0; second < RECOVERS_SECONDS; second++) {
    const behindMs = await heartbeatsBehind(place);
    if (behindMs < IN_TIME_MS) return null;
    stopped = behind(behindMs, place);
    await pause(1000);
  }
  return stopped;
}

/** What it took so far for a user, for those who are still to come; MiB. */
function memoryFor(size: number, empty: Empty, steps: Step[]): number {
  const last = steps.at(-1);
  if (!last) return 0;
  const total = (mib: Record<string, number>) => Object.values(mib).reduce((sum, each) => sum + each, 0);
  return ((total(last.memory.pssMiB) - total(empty.memory.pssMiB)) * (size - last.users)) / last.users;
}
