import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, test, vi } from 'vitest';
import { runningWith } from '../support/processes.ts';
import { temporaryRoom } from '../support/temporary.ts';
import { OTHERS } from './others.ts';

const keeper = fileURLToPath(new URL('./other-keeper.ts', import.meta.url));

describe.each(OTHERS)('%s', (name) => {
  test('does not outlive the tests, however they end, and leaves no profile', async () => {
    const temporary = await temporaryRoom('browser-orphans');
    const env = { ...process.env, TMPDIR: temporary.path };
    const child = spawn(process.execPath, [keeper, name], { stdio: ['ignore', 'pipe', 'inherit'], env });
    await once(createInterface({ input: child.stdout }), 'line');
    expect((await runningWith(temporary.path)).length).toBeGreaterThan(1);
    child.kill('SIGKILL');
    await vi.waitFor(
      async () => {
        expect(await runningWith(temporary.path)).toEqual([]);
        expect((await readdir(temporary.path)).filter((file) => file.startsWith('rollcall-'))).toEqual([]);
      },
      { timeout: 30_000, interval: 100 },
    );
    await temporary.remove();
  });
});
