import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { guardProcess } from '../../scripts/embedded/guard.ts';
import { eventually } from './eventually.ts';

const script = fileURLToPath(new URL('./python_client.py', import.meta.url));

interface Told {
  event?: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server sent.
  data?: any;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server answered.
  answer?: any;
}

/** A stock Socket.IO client in Python, with all it told. */
export class PythonClient {
  readonly told: Told[] = [];
  readonly #child;

  /** `python`: has socketio. `auth` is what the handshake says. */
  constructor(python: string, url: string, transport: 'websocket' | 'polling', auth: Record<string, unknown>) {
    this.#child = spawn(python, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
    const unguard = guardProcess(this.#child.pid ?? 0, 'SIGKILL');
    this.#child.once('exit', unguard);
    createInterface(this.#child.stdout).on('line', (line) => this.told.push(JSON.parse(line)));
    this.#say([url, transport, auth]);
  }

  /** Has the next handshakes say this token. */
  useToken(token: string): void {
    this.#say(['token', token]);
  }

  /** Emits an event and returns what it is acknowledged with. */
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server answered.
  async call(event: string, data: unknown): Promise<any> {
    const answers = () => this.told.filter((line) => line.answer !== undefined);
    const before = answers().length;
    this.#say([event, data]);
    return (await eventually(answers, (all) => all.length > before, 20_000)).at(-1)?.answer;
  }

  /** What came with the events of this name so far. */
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server sent.
  of(event: string): any[] {
    return this.told.filter((line) => line.event === event).map(({ data }) => data);
  }

  /** Waits until as many events of this name have come as fit; returns the last of them. */
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server sent.
  async hears(event: string, fits: (data: any) => boolean = () => true, times = 1): Promise<any> {
    const fitting = () => this.of(event).filter(fits);
    return (await eventually(fitting, (all) => all.length >= times, 30_000)).at(-1);
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }

  #say(line: unknown): void {
    this.#child.stdin.write(`${JSON.stringify(line)}\n`);
  }
}
