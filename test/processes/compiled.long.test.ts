import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../scripts/embedded/server-process.ts';

/** How many modules a program finds compiled; it ends at once, for it has no settings. */
async function found(program: string): Promise<string[]> {
  const env = { PATH: process.env.PATH, NODE_DEBUG_NATIVE: 'COMPILE_CACHE' };
  // A file takes as much as there is; of a pipe that is full the end is lost when the program ends.
  const folder = await temporaryFolder('compiled');
  const file = join(folder.path, 'stderr');
  const into = openSync(file, 'w');
  const { status } = spawnSync(process.execPath, [program], { env, stdio: ['ignore', 'ignore', into] });
  closeSync(into);
  const stderr = readFileSync(file, 'utf8');
  await folder.remove();
  expect(stderr).toContain('DATABASE_URL');
  expect(status).toBe(1);
  return stderr.split('\n').filter((line) => line.includes(' was accepted'));
}

test.each([
  ['src/web/main.ts', 'src/web/app.ts', 'fastify'],
  ['workers/main.ts', 'workers/sweep.ts', 'bullmq'],
])(
  '%s finds compiled what an earlier start compiled, its own files and its packages',
  async (program, own, foreign) => {
    await found(program);
    const again = await found(program);
    expect(again.filter((line) => line.includes(own))).not.toEqual([]);
    expect(again.filter((line) => line.includes(`node_modules/${foreign}/`))).not.toEqual([]);
  },
);
