import { fork } from 'node:child_process';
import { resolve as resolvePath } from 'node:path';
import { parseArgs } from 'node:util';
import { figures } from './figures.ts';
import type { Extent, Outcome } from './measure/figure.ts';
import { describeMachine } from './measure/machine.ts';
import { short } from './measure/statistics.ts';
import { printOutcome } from './measure/verdict.ts';
import { profile, WORKS } from './profile.ts';
import { writeReport } from './report.ts';
import { RunFile } from './results.ts';

/** How much longer than expected a figure may take before it is given up. */
const PATIENCE = { times: 2.5, seconds: 60 };

const { values: asked, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean' },
    once: { type: 'boolean' },
    list: { type: 'boolean' },
    report: { type: 'boolean' },
    profile: { type: 'string' },
    against: { type: 'string' },
  },
});
if (asked.profile !== undefined && !WORKS.includes(asked.profile)) {
  console.error(`There is no work ${asked.profile} to profile; there are ${WORKS.join(', ')}.`);
  process.exit(1);
}
const against = asked.against === undefined ? [] : [resolvePath(asked.against)];
const unknown = positionals.filter((name) => !(name in figures));
if (unknown.length > 0) {
  console.error(`There is no figure ${unknown.join(', ')}; there are ${Object.keys(figures).join(', ')}.`);
  process.exit(1);
}
if (asked.list) list();
else if (asked.report) console.log(writeReport());
else if (asked.profile !== undefined) {
  await profile(asked.profile);
  process.exit(0);
} else
  await run(
    positionals.length > 0 ? positionals : Object.keys(figures).filter((name) => !figures[name]?.byName),
    asked.quick ? 'quick' : asked.once ? 'once' : 'full',
  );

function list(): void {
  for (const [name, { title, seconds, byName }] of Object.entries(figures)) {
    const only = byName ? '; only by its name' : '';
    console.log(`${name.padEnd(20)} ${title}; ${seconds.full} s, --quick ${seconds.quick} s${only}`);
  }
  const all = Object.values(figures).reduce((sum, { seconds, byName }) => sum + (byName ? 0 : seconds.full), 0);
  console.log(`All of them: ${Math.round(all / 60)} min`);
}

async function run(names: string[], extent: Extent): Promise<void> {
  const file = new RunFile(describeMachine());
  for (const name of names) {
    const figure = figures[name];
    if (!figure) continue;
    const expected = extent === 'quick' ? figure.seconds.quick : figure.seconds.full;
    console.log(`\n${name}: ${figure.title} (about ${expected} s)`);
    const [at, from] = [new Date().toISOString(), performance.now()];
    const entry = { figure: name, at, extent, tookSeconds: 0 };
    try {
      const outcome = await measure(name, extent, expected * PATIENCE.times + PATIENCE.seconds);
      entry.tookSeconds = Math.round((performance.now() - from) / 1000);
      file.add({ ...entry, outcome });
      printOutcome(outcome);
      console.log(`  took ${short(entry.tookSeconds)} s`);
    } catch (error) {
      entry.tookSeconds = Math.round((performance.now() - from) / 1000);
      const reason = error instanceof Error ? error.message : String(error);
      file.add({ ...entry, error: reason });
      console.error(`  ${name} could not be measured: ${reason}`);
      process.exitCode = 1;
    }
  }
  console.log(`\nKept in ${file.path}`);
}

/** In a process of its own; killed when its time is over, and what it started with it. */
function measure(name: string, extent: Extent, limitSeconds: number): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = fork('bench/figure-process.ts', [name, extent, ...against], { serialization: 'advanced' });
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`not done after ${Math.round(limitSeconds)} s`));
    }, limitSeconds * 1000);
    child.once('message', (outcome) => resolve(outcome as Outcome));
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      reject(new Error(`its process ended with ${code ?? signal}`));
    });
  });
}
