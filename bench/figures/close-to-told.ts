import { oneClose, Watcher } from '../load/watcher.ts';
import { type Figure, say } from '../measure/figure.ts';
import { cpuJob } from '../measure/machine.ts';
import { Tally } from '../measure/rounds.ts';
import { short, spreadOf } from '../measure/statistics.ts';
import { startTutorial } from '../systems/baselines.ts';
import { startRollcall } from '../systems/rollcall.ts';
import { type System, stopAll } from '../systems/system.ts';

/** How long it takes from a client's goodbye on one web to a watcher's event on another, in a quiet deployment. */
export const closeToTold: Figure = {
  title: 'From a close to a watcher told, two webs, quiet',
  seconds: { full: 95, quick: 35 },
  measure: async (scale) => {
    const closes = scale.pick(200, 60);
    const systems: System[] = [];
    const tally = new Tally();
    const cpuJobMs: number[] = [];
    try {
      systems.push(await startRollcall({ webs: 2, env: { MAX_WATCHED_USERS: '100000' } }));
      systems.push(await startTutorial({ webs: 2 }));
      const users = Array.from({ length: closes * scale.repetitions }, (_, n) => `user-${n}`);
      const places = [];
      for (const system of systems) {
        const watcher = await Watcher.at(system, { url: system.urls[1] ?? system.urls[0] });
        await watcher.watch(users);
        places.push({ system, watcher });
      }
      for (let round = 0; round < scale.repetitions; round++) {
        const job = cpuJob();
        cpuJobMs.push(job.cpuMs);
        say(`round ${round + 1} of ${scale.repetitions}; fixed CPU job ${short(job.cpuMs)} ms`);
        const tookMs = places.map((): number[] => []);
        for (const userId of users.slice(round * closes, (round + 1) * closes)) {
          for (const [n, { system, watcher }] of places.entries())
            tookMs[n]?.push(await oneClose(system, watcher, userId));
        }
        for (const [n, { system }] of places.entries()) {
          const { p50, p99 } = spreadOf(tookMs[n] ?? []);
          tally.add(`p50 ${system.name}`, p50);
          tally.add(`p99 ${system.name}`, p99);
        }
      }
      for (const { watcher } of places) watcher.leave();
    } finally {
      await stopAll(...systems);
    }
    const row = (name: string, atMost: number) => ({
      what: `from a close to a watcher told, two webs, ${name}`,
      unit: 'ms',
      values: { rollcall: tally.of(`${name} rollcall`), tutorial: tally.of(`${name} tutorial`) },
      targets: [{ atMost }],
    });
    return { cpuJobMs, rows: [row('p50', 10), row('p99', 30)] };
  },
};
