import { cp, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onPath, run } from '../embedded/programs.ts';
import { temporaryFolder } from '../embedded/server-process.ts';

/** Libraries of the release itself, the C library among them: a program that is newer than this machine runs with its own. */
const LIBRARIES = [
  'libc6',
  ...['libatomic1', 'libcap2', 'libgcc-s1', 'libgcrypt20', 'libgpg-error0', 'libhiredict1.3.1', 'libjemalloc2'],
  ...['liblz4-1', 'liblzf1', 'liblzma5', 'libssl3', 'libssl3t64', 'libstdc++6', 'libsystemd0', 'libzstd1', 'zlib1g'],
];

export interface ReleasedProgram {
  /** A release of Debian, such as `trixie`, and for backports the one they are for. */
  suites: [string, ...string[]];
  package: string;
  /** In the package, such as `usr/bin/redis-check-rdb`. */
  file: string;
  /** Under which name it is run. */
  name: string;
}

/**
 * Puts a program of another Debian release into `folder` as `bin/<name>`, to be found on a PATH, with its libraries beside it.
 * Nothing is installed. Returns undefined when it is there, else the reason why not.
 */
export async function provideReleased(program: ReleasedProgram, folder: string): Promise<string | undefined> {
  if (await runs(program, folder)) return undefined;
  const mirror = await debianMirror();
  if (mirror === undefined) return 'this machine has no Debian packages';
  const temporary = await temporaryFolder('release');
  try {
    const apt = await ownLists(temporary.path, mirror, program.suites);
    const updated = await run('apt-get', [...apt, '-q', 'update']);
    const [suite] = program.suites;
    const cwd = temporary.path;
    const main = await run('apt-get', [...apt, '-q', 'download', `${program.package}/${suite}`], { cwd });
    if (!main.ok) return `${program.package} of ${suite}: ${lastLine(updated.ok ? main.output : updated.output)}`;
    // Under these names a release need not have all of them; whether the program runs is seen at the end.
    const { output } = await run('apt-cache', [...apt, 'madison', ...LIBRARIES]);
    const known = new Set(output.split('\n').map((line) => line.split('|')[0]?.trim()));
    await run('apt-get', [...apt, '-q', 'download', ...LIBRARIES.filter((name) => known.has(name))], { cwd });
    for (const archive of (await readdir(cwd)).filter((name) => name.endsWith('.deb'))) {
      const { ok, output } = await run('dpkg-deb', ['-x', archive, 'content'], { cwd });
      if (!ok) return `dpkg-deb: ${lastLine(output)}`;
    }
    await assemble(program, join(cwd, 'content'), folder);
    return (await runs(program, folder)) ? undefined : `${program.package} of ${suite} does not run here`;
  } finally {
    await temporary.remove();
  }
}

async function runs({ name }: ReleasedProgram, folder: string): Promise<boolean> {
  return (await run(join(folder, 'bin', name), ['--version'])).ok;
}

/** Where this machine has its own Debian packages from; other releases lie beside them. */
async function debianMirror(): Promise<string | undefined> {
  if (!onPath('apt-get') || !onPath('dpkg-deb')) return undefined;
  const format = ['--format', '$(ORIGIN) $(REPO_URI) $(CODENAME)'];
  const { output } = await run('apt-get', ['indextargets', ...format, 'Created-By: Packages']);
  const lines = output.split('\n').map((line) => line.split(' '));
  return lines.find(([origin, , codename]) => origin === 'Debian' && /^[a-z]+$/.test(codename ?? ''))?.[1];
}

/** Package lists of our own, so that those of the machine stay as they are. */
async function ownLists(folder: string, mirror: string, suites: string[]): Promise<string[]> {
  const path = (...parts: string[]) => join(folder, 'apt', ...parts);
  for (const part of ['lists', 'cache']) await mkdir(path(part), { recursive: true });
  const key = '[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]';
  await writeFile(path('sources.list'), suites.map((suite) => `deb ${key} ${mirror} ${suite} main\n`).join(''));
  const options = [
    `Dir::Etc::sourcelist=${path('sources.list')}`,
    'Dir::Etc::sourceparts=/dev/null',
    'Dir::Etc::preferences=/dev/null',
    'Dir::Etc::preferencesparts=/dev/null',
    `Dir::State::lists=${path('lists')}`,
    `Dir::Cache=${path('cache')}`,
    'Acquire::Languages=none',
  ];
  return options.flatMap((option) => ['-o', option]);
}

async function assemble(program: ReleasedProgram, content: string, folder: string): Promise<void> {
  const made = `${folder}-${process.pid}`;
  await mkdir(join(made, 'bin'), { recursive: true });
  await cp(join(content, program.file), join(made, 'program'));
  // A release whose /usr is merged has them in one place, one before it in two.
  for (const root of ['lib', 'usr/lib']) {
    const triplets = (await readdir(join(content, root)).catch(() => [])).filter((name) => name.includes('-linux-'));
    for (const triplet of triplets) {
      await cp(join(content, root, triplet), join(made, 'lib'), { recursive: true, verbatimSymlinks: true });
    }
  }
  const loader = (await readdir(join(made, 'lib'))).find((name) => /^ld-linux.*\.so\.\d+$/.test(name)) ?? 'ld.so';
  const lines = [
    '#!/bin/sh',
    'here=$(dirname "$0")/..',
    `exec "$here/lib/${loader}" --argv0 ${program.name} --library-path "$here/lib" "$here/program" "$@"`,
    '',
  ];
  await writeFile(join(made, 'bin', program.name), lines.join('\n'), { mode: 0o755 });
  await rm(folder, { recursive: true, force: true });
  await rename(made, folder);
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
