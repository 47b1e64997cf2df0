import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { composeServices, type Service } from '../../src/lifecycle.ts';
import { createLogger } from '../../src/log.ts';

const program = fileURLToPath(new URL('./lifecycle-process.ts', import.meta.url));
const log = createLogger({ logLevel: 'silent' }, 'worker');
const running = new Set<ChildProcess>();

afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
});

class Process {
  readonly #child: ReturnType<typeof spawn>;
  readonly #ended: Promise<unknown[]>;
  #output = '';
  problems = '';

  constructor(...bent: string[]) {
    this.#child = spawn(process.execPath, [program, ...bent]);
    running.add(this.#child);
    this.#ended = once(this.#child, 'close').finally(() => running.delete(this.#child));
    this.#child.stdout?.on('data', (data) => {
      this.#output += String(data);
    });
    this.#child.stderr?.on('data', (data) => {
      this.problems += String(data);
    });
  }

  get lines(): string[] {
    return this.#output.trim().split('\n');
  }

  /** What the services said, without the log. */
  get story(): string[] {
    return this.lines.filter((line) => !line.startsWith('{'));
  }

  logged(message: string): Record<string, unknown> | undefined {
    const records = this.lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
    return records.find((record) => record.msg === message);
  }

  async said(text: string): Promise<void> {
    const stdout = this.#child.stdout;
    while (stdout && !this.#output.includes(text)) {
      const heard = await Promise.race([once(stdout, 'data'), this.#ended.then(() => 'ended')]);
      if (heard === 'ended' && !this.#output.includes(text)) {
        throw new Error(`It ended without saying ${text}:\n${this.#output}${this.problems}`);
      }
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  async exitCode(): Promise<unknown> {
    const [code, signal] = await this.#ended;
    return code ?? signal;
  }
}

describe('a process', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    'starts in order, and %s stops it in reverse order with 0',
    async (name) => {
      const child = new Process();
      await child.said('"started"');
      child.signal(name);
      expect(await child.exitCode()).toBe(0);
      const forward = ['start first', 'start second', 'start third'];
      const backward = ['third', 'second', 'first'].flatMap((service) => [`stop ${service}`, `stopped ${service}`]);
      expect(child.story).toEqual([...forward, ...backward]);
      expect(child.logged('stopped')).toBeDefined();
    },
  );

  test('a signal that comes again changes nothing', async () => {
    const child = new Process('third=stop-slowly');
    await child.said('"started"');
    child.signal('SIGTERM');
    await child.said('stop third');
    child.signal('SIGTERM');
    child.signal('SIGINT');
    expect(await child.exitCode()).toBe(0);
    expect(child.story.filter((line) => line.startsWith('stop '))).toHaveLength(3);
    expect(child.story.at(-1)).toBe('stopped first');
  });

  test('a service that does not stop, or fails to, keeps no other from stopping', async () => {
    const child = new Process('third=stop-never', 'second=stop-fails');
    await child.said('"started"');
    child.signal('SIGTERM');
    expect(await child.exitCode()).toBe(0);
    expect(child.story.at(-1)).toBe('stopped first');
    expect(child.logged('did not stop in time, left behind')).toMatchObject({ service: 'third' });
    expect(child.logged('failed while stopping')).toMatchObject({ service: 'second' });
  });

  test('a signal during a start that hangs stops what was started', async () => {
    const child = new Process('second=start-never');
    await child.said('start second');
    child.signal('SIGTERM');
    expect(await child.exitCode()).toBe(0);
    expect(child.story).toEqual([
      'start first',
      'start second',
      'stop third',
      'stopped third',
      'stop second',
      'stopped second',
      'stop first',
      'stopped first',
    ]);
  });

  test('a start that fails takes back what was started and ends with 1', async () => {
    const child = new Process('third=start-fails');
    expect(await child.exitCode()).toBe(1);
    expect(child.story.slice(3)).toEqual([
      'stop third',
      'stopped third',
      'stop second',
      'stopped second',
      'stop first',
      'stopped first',
    ]);
    expect(child.logged('could not start')).toMatchObject({ level: 'fatal', err: { message: 'third cannot start' } });
  });

  test('wrong settings are told in plain words, all of them, and end it with 1', async () => {
    const child = new Process('config=wrong');
    expect(await child.exitCode()).toBe(1);
    expect(child.problems).toMatch(/^These settings are wrong:\n/);
    expect(child.problems).toContain('  - PORT must be a whole number from 0 to 65535, got "x"\n');
    expect(child.problems).toContain('  - REDIS_URL is required\n');
    expect(child.problems).not.toContain('    at ');
    expect(child.story).toEqual(['']);
  });

  test.each([
    ['exception', 'uncaught exception'],
    ['rejection', 'unhandled rejection'],
  ])('an %s that nobody catches is logged and ends it with 1', async (kind, message) => {
    const child = new Process('third=throws', `kind=${kind}`);
    expect(await child.exitCode()).toBe(1);
    expect(child.logged(message)).toMatchObject({ level: 'fatal' });
  });
});

describe('services as one', () => {
  function recorder(): { services: Service[]; story: string[] } {
    const story: string[] = [];
    const services = ['a', 'b'].map((name) => ({
      name,
      start: async () => void story.push(`start ${name}`),
      stop: async () => void story.push(`stop ${name}`),
    }));
    return { services, story };
  }

  test('stopping twice, at once or later, stops each once, and both wait for the end', async () => {
    const { services, story } = recorder();
    const all = composeServices('all', { log, services });
    await all.start();
    await Promise.all([all.stop(), all.stop()]);
    await all.stop();
    expect(story).toEqual(['start a', 'start b', 'stop b', 'stop a']);
  });

  test('stopping before starting stops what they hold since they were made, and keeps them from starting', async () => {
    const { services, story } = recorder();
    const all = composeServices('all', { log, services });
    await all.stop();
    await all.start();
    expect(story).toEqual(['stop b', 'stop a']);
  });

  test('the limit for all is shared out so that the last one has its turn', async () => {
    const story: string[] = [];
    const slow = (name: string): Service => ({
      name,
      start: async () => {},
      stop: () => {
        story.push(name);
        return new Promise(() => {});
      },
    });
    const all = composeServices('all', { log, services: ['a', 'b', 'c'].map(slow), stopLimitMs: 1600 });
    await all.start();
    const begun = performance.now();
    await all.stop();
    expect(story).toEqual(['c', 'b', 'a']);
    expect(performance.now() - begun).toBeLessThan(2500);
  });
});
