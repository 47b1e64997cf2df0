import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { run } from './embedded/programs.ts';

/**
 * The static checks, in two rows side by side, of which one is the types. These by one thread: several check much of it again
 * each, and take twice the CPU for the same time on two cores.
 */
const rows: Record<string, string[]>[] = [
  { types: [join('node_modules', 'typescript', 'bin', 'tsc'), '--noEmit', '--singleThreaded'] },
  {
    style: [join('node_modules', '@biomejs', 'biome', 'bin', 'biome'), 'check', '--error-on-warnings'],
    'dead code': [join('node_modules', 'knip', 'bin', 'knip.js')],
    'import rules': [join('scripts', 'import-rules.ts')],
    Lua: [join('scripts', 'lua-lint.ts')],
  },
];

/** Runs them all, says what each found, and returns how many held and how many did not. */
export async function runChecks(): Promise<{ passed: number; failed: number }> {
  const counts = { passed: 0, failed: 0 };
  const inTurn = async (row: Record<string, string[]>) => {
    for (const [name, args] of Object.entries(row)) {
      const { ok, output } = await run(process.execPath, args);
      console.log(`${ok ? '✓' : '✗'} ${name}`);
      if (!ok) console.log(output.trim());
      counts[ok ? 'passed' : 'failed'] += 1;
    }
  };
  await Promise.all(rows.map(inTurn));
  return counts;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { failed } = await runChecks();
  process.exitCode = failed > 0 ? 1 : 0;
}
