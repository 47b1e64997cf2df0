import { type SpawnOptions, spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/** The full path of a program on the PATH. */
export function onPath(name: string): string | undefined {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      if (folder && statSync(file).isFile()) return file;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/**
 * Runs a program to its end and returns what it said; never asks anything, since it has no standard input.
 * `watch` is told the process id and returns what to call at its end.
 */
export function run(command: string, args: string[], options: SpawnOptions = {}, watch?: (pid: number) => () => void) {
  return new Promise<{ ok: boolean; output: string }>((resolve) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    const unwatch = child.pid && watch ? watch(child.pid) : () => {};
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
    }
    child.once('exit', unwatch);
    child.once('error', (error) => resolve({ ok: false, output: error.message }));
    child.once('close', (code) => resolve({ ok: code === 0, output }));
  });
}

/**
 * Installs a Debian package where that works without asking: as root, or with a sudo that wants no password.
 * Returns undefined when it is installed, else the reason why not.
 */
export async function installDebianPackage(name: string): Promise<string | undefined> {
  if (!onPath('apt-get')) return 'this system has no apt-get';
  const asRoot = await rootPrefix();
  if (!asRoot) return 'installing it needs root, or sudo without a password';
  console.error(`Installing the Debian package ${name} …`);
  const install = () => apt(asRoot, ['install', '-y', '--no-install-recommends', name]);
  let result = await install();
  if (!result.ok) {
    // Fresh machines and images come without package lists, old ones with lists that name removed versions.
    await apt(asRoot, ['update']);
    result = await install();
  }
  return result.ok
    ? undefined
    : `apt-get install ${name} failed:\n${result.output.trim().split('\n').slice(-5).join('\n')}`;
}

/** For a package that is only downloaded; without the right to do so nothing happens. */
export async function refreshPackageLists(): Promise<void> {
  const asRoot = await rootPrefix();
  if (asRoot) await apt(asRoot, ['update']);
}

/** What to put before a command to run it as root without being asked; undefined where that does not work. */
async function rootPrefix(): Promise<string[] | undefined> {
  if (process.getuid?.() === 0) return [];
  return onPath('sudo') && (await run('sudo', ['-n', 'true'])).ok ? ['sudo', '-n'] : undefined;
}

/** `policy-rc.d`-free on purpose: the packages asked for here bring no system service that could start. */
function apt(asRoot: string[], args: string[]) {
  // While one run of ours fetches packages another would find them locked, and does not wait for that.
  const oneByOne = onPath('flock') ? ['flock', join(tmpdir(), 'rollcall-apt.lock')] : [];
  const [command = 'apt-get', ...rest] = [
    ...asRoot,
    ...oneByOne,
    'env',
    'DEBIAN_FRONTEND=noninteractive',
    'apt-get',
    '-q',
    // Somebody else's apt run is waited for, where that has to do with packages that are in place.
    '-o',
    'DPkg::Lock::Timeout=120',
    ...args,
  ];
  return run(command, rest);
}
