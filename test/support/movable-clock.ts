import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { provideCompiler } from '../../scripts/embedded/compiler.ts';
import { run } from '../../scripts/embedded/programs.ts';
import { temporaryFolder } from '../../scripts/embedded/server-process.ts';

/** A clock that can be set while servers run by it, which are started with its `env`. */
export interface MovableClock {
  env: Record<string, string>;
  /** From now on it differs from this machine's by so much. */
  set(seconds: number): Promise<void>;
  remove(): Promise<void>;
}

export async function movableClock(seconds = 0): Promise<MovableClock> {
  const [compiler, folder] = await Promise.all([provideCompiler(), temporaryFolder('clock')]);
  const [library, file] = [join(folder.path, 'clock.so'), join(folder.path, 'moved')];
  const { ok, output } = await run(compiler, ['-shared', '-fPIC', '-o', library, 'test/support/movable-clock.c']);
  if (!ok) throw new Error(`The movable clock does not compile:\n${output}`);
  const set = async (by: number) => {
    const micros = Buffer.alloc(8);
    micros.writeBigInt64LE(BigInt(by) * 1_000_000n);
    // Written over, not anew: it is mapped by those who run by it.
    await writeFile(file, micros, { flag: 'r+' });
  };
  await writeFile(file, Buffer.alloc(8));
  await set(seconds);
  return { env: { LD_PRELOAD: library, CLOCK_FILE: file }, set, remove: folder.remove };
}
