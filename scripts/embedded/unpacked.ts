import { cp, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { onPath, refreshPackageLists, run } from './programs.ts';
import { temporaryFolder } from './server-process.ts';

/** Kept between runs, since packages have some megabytes. */
const CACHE = join('node_modules', '.cache');

export interface UnpackedProgram {
  /** In the package, such as `usr/sbin/nginx`; its last part is its name on the PATH. */
  file: string;
  package: string;
  /** Packages of libraries that not every machine has. */
  libraries?: string[];
  /** What it is asked for, to see whether it runs. */
  version: string[];
}

export type Provided = { command: string; env: Record<string, string> } | { reason: string };

/**
 * A program of Debian's: the one on the PATH, else the one in its package, which is unpacked and not installed, for that would
 * start a service. A reason says why there is none.
 */
export async function provideUnpacked(program: UnpackedProgram): Promise<Provided> {
  const name = basename(program.file);
  const folder = join(process.cwd(), CACHE, name);
  const unpacked = { command: join(folder, name), env: { LD_LIBRARY_PATH: join(folder, 'lib') } };
  const runs = async ({ command, env }: typeof unpacked) =>
    (await run(command, program.version, { env: { ...process.env, ...env } })).ok;
  const installed = onPath(name);
  if (installed !== undefined && (await run(installed, program.version)).ok) return { command: installed, env: {} };
  if (await runs(unpacked)) return unpacked;
  if (!onPath('apt-get') || !onPath('dpkg-deb')) {
    return { reason: `${name} is not on the PATH, nor are Debian packages` };
  }
  const reason = await unpack(program, folder);
  if (reason !== undefined) return { reason };
  return (await runs(unpacked))
    ? unpacked
    : { reason: `${name} of Debian's package ${program.package} does not run here` };
}

/** Returns undefined when it is there, else the reason why not. */
async function unpack({ file, package: main, libraries = [] }: UnpackedProgram, folder: string) {
  const temporary = await temporaryFolder('unpacked');
  try {
    const cwd = temporary.path;
    const download = (name = main) => run('apt-get', ['-q', 'download', name], { cwd });
    let downloaded = await download();
    if (!downloaded.ok) {
      await refreshPackageLists();
      downloaded = await download();
    }
    if (!downloaded.ok) return `apt-get download ${main} failed: ${downloaded.output.trim().split('\n').at(-1)}`;
    // Of another release it may need none of them, under these names; whether it runs is seen at the end.
    for (const library of libraries) await download(library);
    for (const archive of (await readdir(cwd)).filter((name) => name.endsWith('.deb'))) {
      const { ok, output } = await run('dpkg-deb', ['-x', archive, 'content'], { cwd });
      if (!ok) return `dpkg-deb failed: ${output.trim()}`;
    }
    const kept = `${folder}-${process.pid}`;
    await mkdir(join(kept, 'lib'), { recursive: true });
    await cp(join(cwd, 'content', file), join(kept, basename(file)));
    if (libraries.length > 0) {
      const all = join(cwd, 'content', 'usr', 'lib');
      const [own = ''] = (await readdir(all)).filter((name) => name.includes('-linux-'));
      await cp(join(all, own), join(kept, 'lib'), { recursive: true, verbatimSymlinks: true });
    }
    // What is there does not run. In one step, for another run may do the same; then it has what this one has.
    await rm(folder, { recursive: true, force: true });
    await rename(kept, folder).catch(() => rm(kept, { recursive: true }));
    return undefined;
  } finally {
    await temporary.remove();
  }
}
