import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

interface LockedPackage {
  integrity?: string;
  resolved?: string;
  /** A folder of the project itself. */
  link?: boolean;
  optionalDependencies?: Record<string, string>;
}

type Locked = Record<string, LockedPackage>;
const lockIn = (folder: string): Locked => JSON.parse(readFileSync(`${folder}/package-lock.json`, 'utf8')).packages;

describe.each(['.', 'test/tools', 'test/runtimes', 'test/testers', 'bench/peers/packages'])('in %s', (folder) => {
  const packages = lockIn(folder);

  test('the lock file names no download address, so any registry serves it', () => {
    expect(Object.keys(packages).filter((path) => packages[path]?.resolved && !packages[path].link)).toEqual([]);
  });

  test('the lock file holds the hash of every package, those for other platforms included', () => {
    const unknown = Object.entries(packages).filter(
      ([path, { integrity = '', link }]) => path.startsWith('node_modules/') && !link && !/^sha512-/.test(integrity),
    );
    expect(unknown.map(([path]) => path)).toEqual([]);
  });

  test('the lock file knows the optional packages of every platform, without which npm ci refuses it', () => {
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter((name) => !isLocked(packages, path, name)),
    );
    expect(missing).toEqual([]);
  });
});

/** As Node resolves it: in the package's own node_modules, or in one of those above. */
function isLocked(packages: Locked, path: string, name: string): boolean {
  for (let folder = path; ; folder = folder.replace(/(^|\/)node_modules\/(@[^/]+\/)?[^/]+$/, '')) {
    if (packages[`${folder ? `${folder}/` : ''}node_modules/${name}`]) return true;
    if (!folder) return false;
  }
}
