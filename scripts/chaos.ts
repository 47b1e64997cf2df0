import { parseArgs } from 'node:util';
import { runSeed, SIZE } from '../test/faults/laboratory/run.ts';
import { World } from '../test/faults/laboratory/world.ts';
import { stopSignal } from './stop-signals.ts';

/**
 * `npm run chaos -- --seed N --seconds N`: run after run of the fault laboratory, each with the next seed, until the time
 * is up. A finding is printed with its seed and schedule; the same seed gives the same schedule again.
 */
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    seconds: { type: 'string', default: '300' },
    /** Other code than the project's own: a folder with its `src` and `workers`. */
    root: { type: 'string' },
  },
});
const first = Number(values.seed);
const until = performance.now() + Number(values.seconds) * 1000;
if (!Number.isInteger(first) || !Number.isFinite(until)) {
  console.error('--seed and --seconds have to be numbers');
  process.exit(1);
}

let stopped = false;
void stopSignal().then(() => {
  stopped = true;
});
let runs = 0;
let findings = 0;
const newWorld = () => World.start({ ...SIZE, ...(values.root === undefined ? {} : { root: values.root }) });
let world = await newWorld();
for (let seed = first; !stopped && performance.now() < until; seed++) {
  const result = await runSeed({ seed, world });
  runs++;
  findings += result.findings.length;
  console.log(`${result.report} (${(result.tookMs / 1000).toFixed(1)} s)`);
  if (result.findings.length === 0) continue;
  // What was left in disorder would be found again and again.
  await world.stop();
  world = await newWorld();
}
await world.stop();
console.log(`${runs} runs, ${findings} findings`);
process.exit(findings > 0 ? 1 : 0);
