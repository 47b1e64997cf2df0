import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test, vi } from 'vitest';
import { isRunning } from '../support/processes.ts';
import { temporaryRoom } from '../support/temporary.ts';

const keeper = fileURLToPath(new URL('browser-keeper.ts', import.meta.url));

test('a browser of the tests does not outlive them, however they end, and leaves no profile', async () => {
  const temporary = await temporaryRoom('browser-orphans');
  const env = { ...process.env, TMPDIR: temporary.path };
  const child = spawn(process.execPath, [keeper], { stdio: ['ignore', 'pipe', 'inherit'], env });
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  const pid = Number(line);
  expect(isRunning(pid)).toBe(true);
  child.kill('SIGKILL');
  await vi.waitFor(
    async () => {
      expect(isRunning(pid)).toBe(false);
      expect((await readdir(temporary.path)).filter((name) => name.startsWith('rollcall-'))).toEqual([]);
    },
    { timeout: 30_000, interval: 50 },
  );
  await temporary.remove();
});
