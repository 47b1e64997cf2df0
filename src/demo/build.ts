import { execFile } from 'node:child_process';
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(root, 'dist', 'demo');
const sources = ['src/demo', 'src/client', 'src/presence', 'package-lock.json'].map((path) => join(root, path));

/** Makes the page where it is missing or older than its sources, and returns the folder it is in. */
export async function buildDemo(): Promise<string> {
  const builtAt = await newest(join(folder, 'index.html'));
  const changedAt = Math.max(...(await Promise.all(sources.map(newest))));
  if (builtAt > changedAt) return folder;
  // Built aside and moved in whole: several processes may want it at the same moment.
  const aside = `${folder}.${process.pid}`;
  // A process of its own: the page is for production, whatever this process is.
  const vite = join(root, 'node_modules', 'vite', 'bin', 'vite.js');
  const args = ['build', '--config', join(root, 'src/demo/vite.config.ts'), '--outDir', aside, '--emptyOutDir'];
  const env = { NODE_ENV: 'production' };
  await promisify(execFile)(process.execPath, [vite, ...args, '--logLevel', 'error'], { cwd: root, env });
  await rm(folder, { recursive: true, force: true });
  try {
    await rename(aside, folder);
  } catch {
    // Another process was faster, with the same page.
    await rm(aside, { recursive: true, force: true });
  }
  return folder;
}

/** When a file, or anything in a folder, was last written; 0 where there is none. */
async function newest(path: string): Promise<number> {
  try {
    const found = await stat(path);
    if (!found.isDirectory()) return found.mtimeMs;
    const names = await readdir(path);
    return Math.max(found.mtimeMs, ...(await Promise.all(names.map((name) => newest(join(path, name))))));
  } catch {
    return 0;
  }
}
