import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { guardProcess } from './embedded/guard.ts';

/** One process of ours (web, worker, simulated people), started with the Node that runs this one. */
export interface Child {
  name: string;
  /** Resolves when it has ended; a process that could not be started ends with code 1. */
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** The last lines it wrote, where they were not shown. */
  lastLines(): string[];
  /** Asks it to end, kills it after `limitMs`, and resolves when it has ended. Harmless when repeated. */
  stop(limitMs?: number): Promise<void>;
}

const keptLines = 30;

/**
 * `show` decides which of its lines are passed on to our own output; `'all'` lets it write there itself. It gets a process
 * group of its own, so that Ctrl-C reaches it through us and in our order.
 */
export function startChild(
  name: string,
  args: string[],
  options: { env: NodeJS.ProcessEnv; show: 'all' | ((line: string) => boolean) },
): Child {
  const quiet = options.show !== 'all';
  const child = spawn(process.execPath, args, {
    env: options.env,
    detached: true,
    stdio: ['ignore', ...(quiet ? (['pipe', 'pipe'] as const) : (['inherit', 'inherit'] as const))],
  });
  const release = child.pid ? guardProcess(child.pid, 'SIGTERM') : () => {};
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue;
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      if (lines.length > keptLines) lines.shift();
      if (typeof options.show === 'function' && options.show(line)) console.log(`${name}: ${line}`);
    });
  }
  const ended = endOf(child).finally(release);
  return { name, ended, lastLines: () => [...lines], stop: (limitMs) => stop(child, ended, limitMs) };
}

function endOf(child: ChildProcess): Child['ended'] {
  return new Promise((resolve) => {
    child.once('error', () => resolve({ code: 1, signal: null }));
    // `close` comes once its output is read to the end; a grandchild that keeps the pipes open must not hold us up.
    child.once('close', (code, signal) => resolve({ code, signal }));
    child.once('exit', (code, signal) => setTimeout(() => resolve({ code, signal }), 500).unref());
  });
}

// A little above the 25 s in which web and worker promise to drain.
async function stop(child: ChildProcess, ended: Child['ended'], limitMs = 28_000): Promise<void> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
  await ended;
  clearTimeout(timer);
}
