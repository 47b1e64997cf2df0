import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guardFolder } from '../../scripts/embedded/guard.ts';
import { keepLogsIn, leaksIn } from './run-logs.ts';

const SHOWN = 10;

/** No process of the whole run may have said a token or a secret: else the run has failed, whatever its tests say. */
export default async function setup(): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'rollcall-run-logs-'));
  // Gone with this process, unless there is something to be looked at.
  const release = guardFolder(folder);
  keepLogsIn(folder);
  return async () => {
    const { lines, found } = await leaksIn(folder);
    if (found.length === 0) {
      console.log(`No token and no secret in ${lines} lines of logs.`);
      await rm(folder, { recursive: true, force: true });
      release();
      return;
    }
    release();
    console.error(`Tokens or secrets in ${found.length} lines of logs (all in ${folder}):`);
    for (const line of found.slice(0, SHOWN)) console.error(`  ${line}`);
    // What a teardown throws is printed by Vitest and forgotten.
    process.exitCode = 1;
  };
}
