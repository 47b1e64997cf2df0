import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { runningWith } from '../support/processes.ts';
import { temporaryRoom } from '../support/temporary.ts';

let temporary: Awaited<ReturnType<typeof temporaryRoom>>;
let demo: ChildProcess | undefined;

beforeEach(async () => {
  temporary = await temporaryRoom('demo');
});
afterEach(async () => {
  demo?.kill('SIGKILL');
  await vi.waitFor(async () => expect(await runningWith(temporary.path)).toEqual([]), { timeout: 30_000 });
  await temporary.remove();
});

/** Starts it the way npm does and resolves with what it printed once it runs. */
async function startDemo(): Promise<{ child: ChildProcess; printed: string }> {
  const { REDIS_URL: _1, DATABASE_URL: _2, ...env } = process.env;
  const child = spawn(process.execPath, ['scripts/setup.mjs', 'scripts/demo.ts'], {
    env: { ...env, TMPDIR: temporary.path, PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  demo = child;
  let printed = '';
  const running = new Promise<void>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        printed += chunk.toString();
        if (printed.includes('Ctrl-C stops everything')) resolve();
      });
    }
  });
  await Promise.race([
    running,
    once(child, 'exit').then(() => {
      throw new Error(`The demo ended:\n${printed}`);
    }),
  ]);
  return { child, printed };
}

async function nothingIsLeft() {
  await vi.waitFor(
    async () => {
      expect(await runningWith(temporary.path)).toEqual([]);
      const folders = (await readdir(temporary.path)).filter((name) => name.startsWith('rollcall-'));
      expect(folders).toEqual([]);
    },
    { timeout: 30_000, interval: 100 },
  );
}

/** The printed curl lines, as fetch would send them. */
function curlLines(printed: string) {
  return [...printed.matchAll(/^ {2}curl .*$/gm)].map(([line]) => {
    const headers = [...line.matchAll(/-H '([^:]+): ([^']+)'/g)].map(([, name = '', value = '']) => [name, value]);
    const body = /-d '([^']*)'/.exec(line)?.[1];
    const url = /http:\S+/.exec(line)?.[0] ?? '';
    return { url, init: { headers: Object.fromEntries(headers), ...(body ? { method: 'POST', body } : {}) } };
  });
}

test('the demo serves its page and a token, its curl lines work, and Ctrl-C leaves nothing behind', {
  timeout: 180_000,
}, async () => {
  const { child, printed } = await startDemo();
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(printed)?.[0] ?? '';
  const page = await fetch(`${url}/`);
  expect(page.status).toBe(200);
  expect(page.headers.get('content-type')).toContain('text/html');
  const signIn = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"userId":"bob"}' };
  expect(await (await fetch(`${url}/demo/token`, signIn)).json()).toEqual({ token: expect.any(String) });

  const lines = curlLines(printed);
  expect(lines).toHaveLength(2);
  for (const { url: address, init } of lines) {
    const answer = await fetch(address, init);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ userId: 'ada', status: 'active' });
  }

  child.kill('SIGINT');
  expect(await once(child, 'exit')).toEqual([0, null]);
  await nothingIsLeft();
});

test('after kill -9 of the demo nothing runs on', { timeout: 180_000 }, async () => {
  const { child } = await startDemo();
  child.kill('SIGKILL');
  await nothingIsLeft();
});
