import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { isRunning } from '../support/processes.ts';
import { temporaryRoom } from '../support/temporary.ts';

const keeper = fileURLToPath(new URL('../support/store-keeper.ts', import.meta.url));
let temporary: Awaited<ReturnType<typeof temporaryRoom>>;

beforeEach(async () => {
  temporary = await temporaryRoom('orphans');
});
afterEach(() => temporary.remove());

async function startKeeper() {
  const child = spawn(process.execPath, [keeper], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TMPDIR: temporary.path },
  });
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  const pids: { redis: number; postgres: number } = JSON.parse(line);
  return { child, pids };
}

async function nothingIsLeft(pids: { redis: number; postgres: number }) {
  await vi.waitFor(
    async () => {
      expect({ redis: isRunning(pids.redis), postgres: isRunning(pids.postgres) }).toEqual({
        redis: false,
        postgres: false,
      });
      expect(await readdir(temporary.path)).toEqual([]);
    },
    { timeout: 30_000, interval: 50 },
  );
}

test('after kill -9 of the process that started them, no store runs on and no data stays', async () => {
  const { child, pids } = await startKeeper();
  expect(isRunning(pids.redis) && isRunning(pids.postgres)).toBe(true);
  child.kill('SIGKILL');
  await nothingIsLeft(pids);
});

test('a frozen store does not outlive the process that started it either', async () => {
  const { child, pids } = await startKeeper();
  process.kill(pids.redis, 'SIGSTOP');
  process.kill(pids.postgres, 'SIGSTOP');
  child.kill('SIGKILL');
  await nothingIsLeft(pids);
});
