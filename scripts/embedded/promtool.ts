import { chmod, copyFile, mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { onPath, refreshPackageLists, run } from './programs.ts';
import { temporaryFolder } from './server-process.ts';

/** Kept between runs, since the package is some twenty megabytes. */
const CACHE = join('node_modules', '.cache', 'promtool');

/**
 * Prometheus's own checker of rules: one on the PATH, else the one in Debian's package `prometheus`, which is unpacked and not
 * installed, for that would start a service. A reason says why there is none.
 */
export async function providePromtool(): Promise<{ command: string } | { reason: string }> {
  const kept = join(CACHE, 'promtool');
  for (const command of [onPath('promtool'), kept]) {
    if (command !== undefined && (await run(command, ['--version'])).ok) return { command };
  }
  if (!onPath('apt-get') || !onPath('dpkg-deb'))
    return { reason: 'promtool is not on the PATH, nor are Debian packages' };
  const folder = await temporaryFolder('promtool');
  try {
    const download = () => run('apt-get', ['-q', 'download', 'prometheus'], { cwd: folder.path });
    let downloaded = await download();
    if (!downloaded.ok) {
      await refreshPackageLists();
      downloaded = await download();
    }
    const [archive] = (await readdir(folder.path)).filter((name) => name.endsWith('.deb'));
    if (!downloaded.ok || archive === undefined) {
      return { reason: `apt-get download prometheus failed: ${downloaded.output.trim().split('\n').at(-1)}` };
    }
    const unpacked = await run('dpkg-deb', ['-x', archive, 'content'], { cwd: folder.path });
    if (!unpacked.ok) return { reason: `dpkg-deb failed: ${unpacked.output.trim()}` };
    await mkdir(CACHE, { recursive: true });
    // In one step, for another run may do the same.
    const fresh = `${kept}-${process.pid}`;
    await copyFile(join(folder.path, 'content', 'usr', 'bin', 'promtool'), fresh);
    await chmod(fresh, 0o755);
    await rename(fresh, kept);
  } finally {
    await folder.remove();
  }
  const { ok, output } = await run(kept, ['--version']);
  return ok ? { command: kept } : { reason: `promtool does not run: ${output.trim()}` };
}
