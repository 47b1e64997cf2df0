import { setTimeout as pause } from 'node:timers/promises';
import type { Figure } from '../measure/figure.ts';
import { say } from '../measure/figure.ts';
import { cpuJob } from '../measure/machine.ts';
import { costOf, Tally } from '../measure/rounds.ts';
import { short } from '../measure/statistics.ts';
import { startTutorial } from '../systems/baselines.ts';
import { rollcalls } from '../systems/rollcall.ts';
import { type System, stopAll } from '../systems/system.ts';

/** What was only just started still collects its garbage and has its first upkeep. */
const SETTLE_MS = 20_000;

/** What a deployment costs to which nobody comes, which is most of what a small one pays: all systems in the same minutes. */
export const nobody: Figure = {
  title: 'CPU of a deployment without users for a second',
  seconds: { full: 125, quick: 40 },
  measure: async (scale) => {
    const seconds = scale.pick(30, 10);
    const systems: System[] = [];
    try {
      for (const start of [...rollcalls(scale), () => startTutorial()]) systems.push(await start());
      await pause(SETTLE_MS);
      const tally = new Tally();
      const cpuJobMs: number[] = [];
      for (let round = 0; round < scale.repetitions; round++) {
        const job = cpuJob();
        cpuJobMs.push(job.cpuMs);
        say(`round ${round + 1} of ${scale.repetitions}; fixed CPU job ${short(job.cpuMs)} ms`);
        await Promise.all(
          systems.map(async (system) => {
            const from = performance.now();
            const { ms, parts } = await costOf(system, () => pause(seconds * 1000));
            const tookSeconds = (performance.now() - from) / 1000;
            tally.add(system.name, ms / tookSeconds);
            for (const [part, each] of Object.entries(parts)) tally.add(`${system.name}/${part}`, each / tookSeconds);
          }),
        );
      }
      const row = {
        what: 'a deployment without users, a web and a worker',
        unit: 'ms CPU a second',
        values: { rollcall: tally.of('rollcall'), before: tally.of('before'), tutorial: tally.of('tutorial') },
        targets: [{ atMost: 0.2, of: 'before' as const }],
        parts: tally.partsOf('rollcall'),
      };
      return { cpuJobMs, rows: [row] };
    } finally {
      await stopAll(...systems);
    }
  },
};
