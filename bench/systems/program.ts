import { type ChildProcess, spawn } from 'node:child_process';
import { guardProcess } from '../../scripts/embedded/guard.ts';

const START_LIMIT_MS = 60_000;

/** A Node process of a system, known to have started. It does not outlive the one that started it. */
export interface Program {
  child: ChildProcess;
  pid: number;
  /** Asks it to end, and ends it where it does not within `limitMs` (0: at once). */
  stop(limitMs?: number): Promise<void>;
}

/** Starts a program that says `"msg":"started"` in a line of JSON once it can be used. */
export async function startProgram(
  file: string,
  env: Record<string, string>,
  { nodeArgs = [], args = [], folder }: { nodeArgs?: string[]; args?: string[]; folder?: string | undefined } = {},
): Promise<Program> {
  const child = spawn(process.execPath, [...nodeArgs, file, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(folder === undefined ? {} : { cwd: folder }),
  });
  const release = child.pid ? guardProcess(child.pid, 'SIGKILL') : () => {};
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve())).then(release);
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`${file} did not start within ${START_LIMIT_MS} ms`)),
      START_LIMIT_MS,
    );
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${file} ended with ${code}`)));
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      if (!text.includes('"msg":"started"')) return;
      clearTimeout(timer);
      resolve();
    });
  });
  return {
    child,
    pid: child.pid ?? 0,
    stop: async (limitMs = 0) => {
      child.kill(limitMs > 0 ? 'SIGTERM' : 'SIGKILL');
      const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
      await ended;
      clearTimeout(timer);
    },
  };
}
