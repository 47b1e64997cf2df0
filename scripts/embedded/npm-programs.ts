import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { run } from './programs.ts';

/** Kept between runs, since they are large. */
const CACHE = join('node_modules', '.cache');

/**
 * Installs what a folder with a package.json and a lock file names, which is too large, or wants other versions, to stand
 * beside what the service is built with; once for each state of the lock file. Nothing of it is run at that. Returns the
 * path of the `node_modules`; throws with what npm said.
 */
export async function installNpmPrograms(folder: string): Promise<string> {
  const lock = await readFile(join(folder, 'package-lock.json'));
  const state = createHash('sha256').update(lock).digest('hex').slice(0, 12);
  const kept = resolve(CACHE, `npm-programs-${state}`);
  if (!(await isThere(kept))) {
    await mkdir(CACHE, { recursive: true });
    const fresh = await mkdtemp(`${kept}-`);
    try {
      await cp(folder, fresh, { recursive: true, filter: (path) => basename(path) !== 'node_modules' });
      const { ok, output } = await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: fresh });
      if (!ok) throw new Error(`npm ci of ${folder} failed: ${output.trim()}`);
      // In one step, for another run may do the same; then it has what this one has.
      await rename(fresh, kept).catch(() => rm(fresh, { recursive: true }));
    } catch (error) {
      await rm(fresh, { recursive: true, force: true });
      throw error;
    }
  }
  return join(kept, 'node_modules');
}

const isThere = (folder: string): Promise<boolean> =>
  readFile(join(folder, 'package-lock.json')).then(
    () => true,
    () => false,
  );
