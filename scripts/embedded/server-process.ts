import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { guardFolder, guardProcess } from './guard.ts';

/** How one kind of server is launched, asked whether it is ready, and asked to stop. */
export interface ServerPlan {
  name: string;
  command: string;
  args: string[];
  options?: SpawnOptions;
  /** The orderly way to stop: data is kept where the server keeps any. */
  stopSignal: NodeJS.Signals;
  /** The quickest way to stop that leaves nothing behind; used when this process dies. */
  orphanSignal: NodeJS.Signals;
  /** Resolves when the server answers, throws while it does not yet. */
  probe(): Promise<void>;
}

/** A server process of our own that can be stopped, killed, frozen and started again. */
export interface ServerProcess {
  /** Process id of the running server; throws while it is down. */
  readonly pid: number;
  /** Starts it again with its data, on its port; nothing happens where it runs. */
  start(): Promise<void>;
  /** Stops it in order and keeps data and port for the next `start`. */
  shutdown(): Promise<void>;
  /** Sends a signal; for one that ends the process, resolves when it has ended. */
  kill(signal: NodeJS.Signals): Promise<void>;
}

const startLimitMs = 60_000;
const restartRetriesMs = 10_000;
const shutdownLimitMs = 15_000;

export function serverProcess(plan: ServerPlan): ServerProcess {
  let running: Running | undefined;
  let startedBefore = false;

  async function start(): Promise<void> {
    const deadline = Date.now() + startLimitMs;
    // After a crash the children of the server before may still be leaving, and hold its memory or its port.
    const lastAttempt = Date.now() + (startedBefore ? restartRetriesMs : 0);
    while (!running) {
      const launched = launch(plan);
      const failure = await untilReady(plan, launched, deadline);
      if (failure) {
        if (Date.now() >= lastAttempt) throw new Error(`${plan.name} did not start:\n${failure}`);
        await delay(100);
        continue;
      }
      running = launched;
      startedBefore = true;
      void launched.ended.then(() => {
        if (running === launched) running = undefined;
      });
    }
  }

  async function kill(signal: NodeJS.Signals): Promise<void> {
    const target = running;
    if (!target) return;
    process.kill(target.pid, signal);
    if (endingSignals.has(signal)) await target.ended;
  }

  async function shutdown(): Promise<void> {
    const target = running;
    if (!target) return;
    process.kill(target.pid, plan.stopSignal);
    // It may be frozen by an earlier SIGSTOP.
    process.kill(target.pid, 'SIGCONT');
    const timer = setTimeout(() => target.child.kill('SIGKILL'), shutdownLimitMs);
    await target.ended;
    clearTimeout(timer);
  }

  return {
    get pid() {
      if (!running) throw new Error(`${plan.name} is not running.`);
      return running.pid;
    },
    start,
    shutdown,
    kill,
  };
}

const endingSignals = new Set<NodeJS.Signals>(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGABRT']);

interface Running {
  pid: number;
  child: ChildProcess;
  ended: Promise<void>;
  /** The last lines it wrote. */
  output(): string;
}

/** Spawns in a process group of its own (Ctrl-C is for whoever started it, not for the store) and under guard. */
function launch(plan: ServerPlan): Running {
  const child = spawn(plan.command, plan.args, {
    ...plan.options,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const release = child.pid ? guardProcess(child.pid, plan.orphanSignal) : () => {};
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-8_000);
    });
  }
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      output += error.message;
      resolve();
    });
    child.once('exit', () => resolve());
  }).then(release);
  return { pid: child.pid ?? 0, child, ended, output: () => output };
}

/** Undefined when it is ready, else the reason why not (its own last words). */
async function untilReady(plan: ServerPlan, launched: Running, deadline: number): Promise<string | undefined> {
  let ended = false;
  void launched.ended.then(() => {
    ended = true;
  });
  while (!ended && Date.now() < deadline) {
    try {
      await plan.probe();
      // Answered, but by our own process? One that lost the race for the port ends at about the same time.
      if (!ended && launched.child.exitCode === null) return undefined;
    } catch {
      await Promise.race([delay(20), launched.ended]);
    }
  }
  if (ended) {
    if (launched.child.stderr && !launched.child.stderr.readableEnded) {
      await Promise.race([once(launched.child.stderr, 'close'), delay(500)]);
    }
    return launched.output() || 'it ended without a word';
  }
  launched.child.kill('SIGKILL');
  await launched.ended;
  return `no answer within ${startLimitMs} ms\n${launched.output()}`;
}

/** A fresh folder for a store's data, removed by `remove` or by the guard. */
export async function temporaryFolder(name: string, parent = tmpdir()) {
  const path = await mkdtemp(join(parent, `rollcall-${name}-`));
  const release = guardFolder(path);
  const remove = async () => {
    await rm(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    release();
  };
  return { path, remove };
}
