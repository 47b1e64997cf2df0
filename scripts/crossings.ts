import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startChild } from './children.ts';
import { CORES, CROSSINGS, type Crossing } from './crossings/list.ts';
import { type Outcome, tableOf, writeIntoGuide } from './crossings/table.ts';
import { stopSignal } from './stop-signals.ts';
import { filesThatFailed, type Tally, vitestFailures, vitestTally, writeTally } from './tally.ts';

/**
 * `npm run test:crossings`: the core of the tests with each store, pooler and proxy that can be had here, one after the other; or
 * with those alone that are named, such as `npm run test:crossings -- postgres-16 nginx`. `--write` puts the table of what was run into
 * docs/compatibility.md. `--list` says what there is.
 */
const results = join('.data', 'test-results', 'crossings');
const given = process.argv.slice(2);
const names = given.filter((argument) => !argument.startsWith('--'));
const unknown = names.filter((name) => !CROSSINGS.some((crossing) => crossing.name === name));
if (unknown.length > 0 || given.includes('--list')) {
  if (unknown.length > 0) console.error(`There is no ${unknown.join(', ')}. There are:`);
  for (const { name } of CROSSINGS) console.log(name);
  process.exit(unknown.length > 0 ? 1 : 0);
}

await mkdir(results, { recursive: true });
let stopped = false;
void stopSignal().then(() => {
  stopped = true;
});
const outcomes: Outcome[] = [];
for (const crossing of CROSSINGS) {
  if (stopped || (names.length > 0 && !names.includes(crossing.name))) continue;
  const outcome = await cross(crossing);
  console.log(`${crossing.name}: ${tableOf([outcome]).split('\n')[2]}`);
  outcomes.push(outcome);
  if (given.includes('--write')) await writeIntoGuide(outcome);
}
console.log(`\n${tableOf(outcomes)}`);
const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
const failed = outcomes.reduce((sum, outcome) => sum + outcome.failed, 0);
await writeTally(join(results, '..', 'crossings.txt'), { passed, failed });
process.exit(failed > 0 || stopped ? 1 : 0);

async function cross({ name, core, provide, version }: Crossing): Promise<Outcome> {
  const provided = await provide(join(process.cwd(), 'node_modules', '.cache', 'crossings', name));
  if ('reason' in provided) return { name, versions: [], passed: 0, failed: 0, leftOut: provided.reason };
  const file = (ending: string) => join(results, `${name}${ending}`);
  const versions = file('-versions.json');
  await Promise.all([versions, file('-failures.txt')].map((path) => rm(path, { force: true })));
  const env = { ...provided.env, TEST_VERSIONS: versions };
  const report = file('.json');
  const tally = await runVitest(report, env, [...CORES[core]]);
  const failing = existsSync(report) ? await filesThatFailed(report) : [];
  if (failing.length > 0 && !stopped) {
    // What people are promised has deadlines, which a busy machine does not keep: alone they have it to themselves.
    const before = await vitestTally(report, failing);
    const again = file('-again.json');
    const alone = await runVitest(again, env, ['--no-file-parallelism', ...failing]);
    if (existsSync(again)) await writeFile(file('-failures.txt'), (await vitestFailures(again)).join('\n\n'));
    tally.passed += alone.passed - before.passed;
    tally.failed = alone.failed;
  }
  const stores: string[] = existsSync(versions) ? Object.values(JSON.parse(await readFile(versions, 'utf8'))) : [];
  return { name, versions: [...stores, ...(version ? [await version()] : [])], ...tally };
}

async function runVitest(report: string, settings: Record<string, string>, args: string[]): Promise<Tally> {
  await rm(report, { force: true });
  // The tests know no stores but their own.
  const { REDIS_URL: _1, DATABASE_URL: _2, ...env } = process.env;
  const vitest = startChild(
    'vitest',
    [
      join('node_modules', 'vitest', 'vitest.mjs'),
      ...['run', '--mode', 'crossings', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
      ...args,
    ],
    { env: { ...env, ...settings }, show: 'all' },
  );
  void stopSignal().then(() => vitest.stop(10_000));
  const code = (await vitest.ended).code ?? 1;
  const tally = existsSync(report) ? await vitestTally(report) : { passed: 0, failed: 1 };
  // Errors outside of any test.
  if (code !== 0 && tally.failed === 0) tally.failed = 1;
  return tally;
}
