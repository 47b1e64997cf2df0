import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { freePort } from '../../scripts/embedded/free-port.ts';
import { isRunning, runningWith } from '../support/processes.ts';
import { keepLog } from '../support/run-logs.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';

let stores: TestStores;
let child: ChildProcess | undefined;

beforeEach(async () => {
  stores = await openTestStores('start');
});
afterEach(async () => {
  child?.kill('SIGKILL');
  await vi.waitFor(async () => expect(await runningWith(stores.redisPrefix)).toEqual([]), { timeout: 30_000 });
  await stores.close();
});

/** `npm start` against the given stores; resolves when web says ready, with the ids of web and worker. */
async function start(settings: NodeJS.ProcessEnv = {}) {
  const port = await freePort();
  const env = {
    ...process.env,
    REDIS_URL: stores.redisUrl,
    REDIS_PREFIX: stores.redisPrefix,
    DATABASE_URL: stores.databaseUrl,
    JWT_SECRET: 'a secret of at least thirty-two bytes',
    HOST: '127.0.0.1',
    PORT: String(port),
    ...settings,
  };
  const started = spawn(process.execPath, ['scripts/start.ts'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  child = started;
  // Read in any case, so that it never waits for somebody who does.
  for (const stream of [started.stdout, started.stderr]) stream.resume();
  keepLog(started, env);
  const ready = () => fetch(`http://127.0.0.1:${port}/readyz`).then((answer) => expect(answer.status).toBe(200));
  await vi.waitFor(ready, { timeout: 60_000, interval: 50 });
  const commands = (await runningWith(stores.redisPrefix)).map((pid) => ({ pid, command: commandOf(pid) }));
  const find = (path: string) => commands.find(({ command }) => command.includes(path))?.pid ?? 0;
  return { started, web: find('src/web/main.ts'), worker: find('workers/main.ts') };
}

function commandOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
}

test('web and worker run together and follow a SIGTERM in order', { timeout: 120_000 }, async () => {
  const { started, web, worker } = await start();
  expect(isRunning(web) && isRunning(worker)).toBe(true);
  started.kill('SIGTERM');
  expect(await once(started, 'exit')).toEqual([0, null]);
  expect([isRunning(web), isRunning(worker)]).toEqual([false, false]);
});

test.for(['web', 'worker'] as const)(
  'when the %s dies, the other is stopped and it is told by the exit code',
  { timeout: 120_000 },
  async (victim) => {
    const processes = await start();
    process.kill(processes[victim], 'SIGKILL');
    const [code] = await once(processes.started, 'exit');
    expect(code).toBe(1);
    expect([isRunning(processes.web), isRunning(processes.worker)]).toEqual([false, false]);
  },
);

test('wrong settings end it with 1', { timeout: 120_000 }, async () => {
  const started = spawn(process.execPath, ['scripts/start.ts'], {
    env: { PATH: process.env.PATH, REDIS_PREFIX: stores.redisPrefix },
    stdio: 'ignore',
  });
  child = started;
  expect(await once(started, 'exit')).toEqual([1, null]);
});
