import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runChecks } from './checks.ts';
import { startChild } from './children.ts';
import { ensureChromium } from './embedded/chromium.ts';
import { stopSignal } from './stop-signals.ts';
import { type Tally, vitestFailures, vitestTally, writeTally } from './tally.ts';

/**
 * `npm test`: the static checks and every test but the slow ones. `--long`: the long ones alone (`*.long.test.ts`).
 * `--hours`: those that take the machine for themselves for half an hour and more (`*.hours.test.ts`). `--cluster`: what people
 * meet, once more on a Redis Cluster (vitest.config.ts says which). Whatever else is given goes to Vitest: `npm test --
 * test/setup`. The counts and what failed are left in .data/test-results for .ci/run.
 */
const results = join('.data', 'test-results');
const given = process.argv.slice(2);
const parts = ['long', 'hours', 'cluster'] as const;
const part = parts.find((name) => given.includes(`--${name}`)) ?? 'quick';
const filters = given.filter((argument) => argument !== `--${part}`);

const report = join(results, `${part}.json`);
const tallyFile = join(results, `${part}.txt`);
const failuresFile = join(results, `${part}-failures.txt`);
await mkdir(results, { recursive: true });
await Promise.all([report, tallyFile, failuresFile].map((file) => rm(file, { force: true })));

// Fetching a browser costs time and no processor, checking the other way round.
const [checks] = await Promise.all([part === 'quick' ? runChecks() : { passed: 0, failed: 0 }, ensureChromium()]);
const { code, tally } = await runVitest();
const total = { passed: checks.passed + tally.passed, failed: checks.failed + tally.failed };
await writeTally(tallyFile, total);
if (checks.failed > 0) console.error(`${checks.failed} of the static checks failed, see above.`);
process.exitCode = code !== 0 || total.failed > 0 ? 1 : 0;
process.exit();

async function runVitest(): Promise<{ code: number; tally: Tally }> {
  // The tests know no stores but their own.
  const { REDIS_URL: _1, DATABASE_URL: _2, ...env } = process.env;
  const vitest = startChild(
    'vitest',
    [
      join('node_modules', 'vitest', 'vitest.mjs'),
      ...['run', '--mode', part, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
      ...filters,
    ],
    { env, show: 'all' },
  );
  void stopSignal().then(() => vitest.stop(10_000));
  const code = (await vitest.ended).code ?? 1;
  if (existsSync(report)) await writeFile(failuresFile, (await vitestFailures(report)).join('\n\n'));
  const tally = existsSync(report) ? await vitestTally(report) : { passed: 0, failed: 1 };
  // Errors outside of any test.
  if (code !== 0 && tally.failed === 0) tally.failed = 1;
  return { code, tally };
}
