import { freePort } from '../../scripts/embedded/free-port.ts';
import type { Figure } from '../measure/figure.ts';
import { cpuMs } from '../measure/processes.ts';
import { rounds, Tally } from '../measure/rounds.ts';
import { startTutorial } from '../systems/baselines.ts';
import { startProgram } from '../systems/program.ts';
import { rollcalls } from '../systems/rollcall.ts';
import { stopAll } from '../systems/system.ts';

const STARTS = 3;
/** What was compiled is kept by a process that ends in order. */
const STOP_LIMIT_MS = 10_000;

interface Started {
  name: 'rollcall' | 'before' | 'tutorial';
  file: string;
  settings: Record<string, string>;
  folder: string | undefined;
}

/** What a further web process of a running deployment costs until it says that it has started, beside the tutorial's. */
export const start: Figure = {
  title: 'CPU of a web process from its start until it is ready',
  seconds: { full: 90, quick: 40 },
  measure: async (scale) => {
    const systems: { stop(): Promise<void> }[] = [];
    try {
      const programs: Started[] = [];
      for (const begin of rollcalls(scale)) {
        const { name, stack } = await begin();
        systems.push(stack);
        programs.push({ name, file: 'src/web/main.ts', settings: stack.settings, folder: stack.folder });
      }
      const tutorial = await startTutorial();
      systems.push(tutorial);
      const { settings } = tutorial;
      programs.push({ name: 'tutorial', file: 'bench/baselines/tutorial/main.ts', settings, folder: undefined });
      const tally = new Tally();
      for (const { file, settings, folder } of programs) {
        const env = { ...settings, PORT: String(await freePort()) };
        await (await startProgram(file, env, { folder })).stop(STOP_LIMIT_MS);
      }
      const cpuJobMs = await rounds(scale, programs, async ({ name, file, settings, folder }) => {
        for (let n = 0; n < scale.pick(STARTS, 1); n++) {
          const env = { ...settings, PORT: String(await freePort()) };
          const program = await startProgram(file, env, { folder });
          tally.add(name, cpuMs(() => [program.pid]) / 1000);
          await program.stop(STOP_LIMIT_MS);
        }
      });
      const values = { rollcall: tally.of('rollcall'), before: tally.of('before'), tutorial: tally.of('tutorial') };
      const what = 'a web process from start to ready, started before on this machine';
      return { cpuJobMs, rows: [{ what, unit: 's CPU', values, targets: [{ atMost: 1.2 }] }] };
    } finally {
      await stopAll(...systems);
    }
  },
};
