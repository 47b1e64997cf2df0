import { fileURLToPath } from 'node:url';
import { afterEach, expect, test, vi } from 'vitest';
import { isRunning } from '../support/processes.ts';
import { Cluster } from './cluster-run.ts';

const entry = fileURLToPath(new URL('./cluster-process.ts', import.meta.url));

const clusters: Cluster[] = [];
function open(...args: string[]): Cluster {
  const opened = new Cluster(entry, ...args);
  clusters.push(opened);
  return opened;
}
afterEach(async () => {
  for (const { primary, exited } of clusters.splice(0)) {
    primary.kill('SIGKILL');
    await exited;
  }
});

async function whoAnswers(port: number): Promise<number> {
  return Number(await (await fetch(`http://127.0.0.1:${port}/`)).text());
}

test('several processes share one port', async () => {
  const { pids, port } = await open().listening();
  const answered = new Set<number>();
  for (let asked = 0; asked < 10; asked += 1) answered.add(await whoAnswers(port));
  expect([...answered].sort()).toEqual(pids.sort());
});

test('one that crashes is replaced, and the other answers meanwhile', async () => {
  const web = open();
  const { pids, port } = await web.listening();
  const [victim = 0, survivor] = pids;
  process.kill(victim, 'SIGKILL');
  const [ended] = await web.said('a web process ended; starting another');
  expect(ended?.webPid).toBe(victim);
  expect(await whoAnswers(port)).toBe(survivor);
  const third = (await web.said('listening', 3))[2];
  expect(third?.port).toBe(port);
  expect(pids).not.toContain(third?.pid);
});

test('being told to stop, also twice, is passed on once and ends everything with 0', async () => {
  const web = open();
  const { pids } = await web.listening();
  web.primary.kill('SIGTERM');
  web.primary.kill('SIGTERM');
  expect(await web.exited).toEqual([0, null]);
  const told = web.lines.filter((line) => line.msg === 'told to stop').map((line) => line.pid);
  expect(told.sort()).toEqual(pids.sort());
  expect(pids.filter(isRunning)).toEqual([]);
});

test('a signal to all of them at once does the same', async () => {
  const web = open();
  const { pids } = await web.listening();
  for (const pid of pids) process.kill(pid, 'SIGTERM');
  web.primary.kill('SIGTERM');
  expect(await web.exited).toEqual([0, null]);
  expect(pids.filter(isRunning)).toEqual([]);
});

test('where they cannot start, all of it ends with 1', async () => {
  const web = open('fail');
  expect(await web.exited).toEqual([1, null]);
  expect(web.lines.some((line) => line.msg === 'could not start')).toBe(true);
});

test('if the one that watches is killed, nobody stays behind', async () => {
  const web = open();
  const { pids } = await web.listening();
  web.primary.kill('SIGKILL');
  await vi.waitFor(() => expect(pids.filter(isRunning)).toEqual([]), { timeout: 20_000 });
});
