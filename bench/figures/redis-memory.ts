import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { type Figure, say } from '../measure/figure.ts';
import { usedMemory } from '../measure/redis-figures.ts';
import { Tally } from '../measure/rounds.ts';
import { short } from '../measure/statistics.ts';
import { startTutorial } from '../systems/baselines.ts';
import { startRollcall } from '../systems/rollcall.ts';
import { startSessions } from '../systems/sessions.ts';
import { stopAll } from '../systems/system.ts';

const PER_SECOND = 1500;
/** After that nothing is left of the comings: the streams to webs keep what was delivered for half a minute. */
const FADES_MS = 38_000;

/** What an active user occupies in Redis (`used_memory`), the waiting timeout job included: more users less fewer. */
export const redisMemory: Figure = {
  title: 'Redis memory of an active user, job included',
  seconds: { full: 180, quick: 100 },
  measure: async (scale) => {
    const step = scale.pick(10_000, 2000);
    const env = { PRESENCE_TTL_SECONDS: '3600', HEARTBEAT_INTERVAL_SECONDS: '25' };
    const started: { stop(): Promise<void> }[] = [];
    const tally = new Tally();
    try {
      const rollcall = await startRollcall({ env });
      started.push(rollcall);
      const tutorial = await startTutorial({ ttlSeconds: 3600 });
      started.push(tutorial);
      const places = [rollcall, tutorial].map((system) => {
        const [redis, sessions] = [new Redis(system.redisUrl), startSessions(system)];
        started.push({ stop: async () => redis.disconnect() }, sessions);
        return { system, redis, sessions };
      });
      const open = async (from: number, count: number) => {
        await Promise.all(
          places.map(({ sessions }) => sessions.ask('open', { prefix: 'user-', from, count }, PER_SECOND)),
        );
        await pause(FADES_MS);
        return Promise.all(places.map(({ redis }) => usedMemory(redis)));
      };
      let before = await open(0, step / 10);
      for (let round = 0; round < scale.repetitions; round++) {
        const after = await open(step / 10 + round * step, step);
        for (const [n, { system }] of places.entries()) {
          tally.add(system.name, ((after[n] ?? 0) - (before[n] ?? 0)) / step / 1024);
        }
        say(`${step / 10 + (round + 1) * step} users: ${tally.of('rollcall').map(short).join(', ')} KiB each`);
        before = after;
      }
    } finally {
      await stopAll(...started.reverse());
    }
    const values = { rollcall: tally.of('rollcall'), tutorial: tally.of('tutorial') };
    const what = `an active user in Redis, job included; up to ${step / 10 + scale.repetitions * step} users`;
    return { rows: [{ what, unit: 'KiB', values, targets: [{ atMost: 1.6 }, { atMost: 1 }] }] };
  },
};
