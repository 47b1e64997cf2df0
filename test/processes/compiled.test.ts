import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

/** How many modules a program finds compiled; it ends at once, for it has no settings. */
function found(program: string): string[] {
  const env = { PATH: process.env.PATH, NODE_DEBUG_NATIVE: 'COMPILE_CACHE' };
  const { status, stderr } = spawnSync(process.execPath, [program], { env, encoding: 'utf8', maxBuffer: 2 ** 26 });
  expect(stderr).toContain('DATABASE_URL');
  expect(status).toBe(1);
  return stderr.split('\n').filter((line) => line.includes(' was accepted'));
}

test.each([
  ['src/web/main.ts', 'src/web/app.ts', 'fastify'],
  ['workers/main.ts', 'workers/sweep.ts', 'bullmq'],
])('%s finds compiled what an earlier start compiled, its own files and its packages', (program, own, foreign) => {
  found(program);
  const again = found(program);
  expect(again.filter((line) => line.includes(own))).not.toEqual([]);
  expect(again.filter((line) => line.includes(`node_modules/${foreign}/`))).not.toEqual([]);
});
