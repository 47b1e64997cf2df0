import { type ChildProcess, spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test, vi } from 'vitest';
import { isRunning } from '../support/processes.ts';

const entry = fileURLToPath(new URL('./cluster-process.ts', import.meta.url));

interface Line {
  pid: number;
  msg: string;
  port?: number;
  webPid?: number;
}

class Cluster {
  readonly primary: ChildProcess;
  readonly lines: Line[] = [];
  readonly exited: Promise<unknown[]>;
  readonly #input;

  constructor(...args: string[]) {
    this.primary = spawn(process.execPath, [entry, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.exited = once(this.primary, 'exit');
    const { stdout } = this.primary;
    if (!stdout) throw new Error('There is no output to read.');
    this.#input = createInterface(stdout);
    this.#input.on('line', (line) => this.lines.push(JSON.parse(line)));
  }

  /** The first `count` lines that say so. */
  async said(msg: string, count = 1): Promise<Line[]> {
    const found = () => this.lines.filter((line) => line.msg === msg);
    if (found().length < count) {
      for await (const _ of on(this.#input, 'line', { close: ['close'] })) if (found().length >= count) break;
    }
    return found().slice(0, count);
  }

  /** Two that listen, and the port they share. */
  async listening(): Promise<{ pids: number[]; port: number }> {
    const [one, two] = await this.said('listening', 2);
    // The one that watches says "started" last of all, when both are there.
    await this.said('started', 3);
    if (one?.port === undefined || two?.port !== one.port) throw new Error('They do not share a port.');
    return { pids: [one.pid, two.pid], port: one.port };
  }
}

const clusters: Cluster[] = [];
function open(...args: string[]): Cluster {
  const opened = new Cluster(...args);
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
  await vi.waitFor(() => expect(pids.filter(isRunning)).toEqual([]), { timeout: 5000 });
});
