import { type ChildProcess, spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { createInterface } from 'node:readline';

interface Line {
  pid: number;
  msg: string;
  port?: number;
  webPid?: number;
}

/** Several processes and the one that started them, with all they said. */
export class Cluster {
  readonly primary: ChildProcess;
  readonly lines: Line[] = [];
  readonly exited: Promise<unknown[]>;
  readonly #input;

  /** `entry`: the file that is run. It writes its log to its output. */
  constructor(entry: string, ...args: string[]) {
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
