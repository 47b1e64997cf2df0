import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, readFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { freePort } from '../../scripts/embedded/free-port.ts';
import { guardProcess } from '../../scripts/embedded/guard.ts';
import { isActive, TestClient } from '../support/client.ts';
import { copiedIntoImage, procfile } from '../support/deploying.ts';
import { JWT_SECRET } from '../support/deployment.ts';
import { keepLog } from '../support/run-logs.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';
import { temporaryRoom } from '../support/temporary.ts';

/** Nothing but what the Dockerfile copies, with production dependencies, as a platform would have it. */
let room: Awaited<ReturnType<typeof temporaryRoom>>;
let stores: TestStores;
const running: ChildProcess[] = [];

beforeAll(async () => {
  [room, stores] = await Promise.all([temporaryRoom('image'), openTestStores('deploying')]);
  for (const path of copiedIntoImage(await readFile('Dockerfile', 'utf8'))) {
    await cp(path, join(room.path, path), { recursive: true });
  }
}, 60_000);
afterAll(async () => {
  for (const child of running) child.kill('SIGKILL');
  await stores?.close();
  await room?.remove();
});

function start(command: string, env: NodeJS.ProcessEnv = {}) {
  const child = spawn('sh', ['-c', `exec ${command}`], {
    cwd: room.path,
    env: { PATH: [dirname(process.execPath), process.env.PATH].join(delimiter), HOME: process.env.HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  guardProcess(child.pid ?? 0, 'SIGKILL');
  running.push(child);
  keepLog(child, env);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  return { child, exited, said: () => output };
}

test('the lines of the Procfile run as they stand on production dependencies, and end in order', async () => {
  // In the whole environment, which may say how the registry is reached (a proxy, a mirror).
  const install = start('npm ci --omit=dev --no-audit --no-fund --prefer-offline', process.env);
  expect(await install.exited, install.said()).toBe(0);

  const port = await freePort();
  const env = {
    NODE_ENV: 'production',
    PORT: String(port),
    HOST: '127.0.0.1',
    REDIS_URL: stores.redisUrl,
    REDIS_PREFIX: stores.redisPrefix,
    DATABASE_URL: stores.databaseUrl,
    JWT_SECRET,
  };
  const lines = await procfile();
  const release = start(lines.release ?? '', env);
  expect(await release.exited, release.said()).toBe(0);

  const [web, worker] = [start(lines.web ?? '', env), start(lines.worker ?? '', env)];
  const url = `http://127.0.0.1:${port}`;
  await vi.waitFor(async () => expect((await fetch(`${url}/readyz`)).status).toBe(200), { timeout: 120_000 });
  const watcher = await TestClient.connect(url, 'watcher', { watch: ['ada'] });
  const ada = await TestClient.connect(url, 'ada');
  // Through Redis, a queue and the worker.
  await watcher.hears('ada', isActive, { withinMs: 20_000 });
  for (const client of [ada, watcher]) client.leave();

  for (const { child } of [web, worker]) child.kill('SIGTERM');
  expect([await web.exited, await worker.exited], web.said() + worker.said()).toEqual([0, 0]);
});
