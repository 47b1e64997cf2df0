import { type ChildProcess, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

/**
 * What this process started must not outlive it, not even after kill -9. One small guard process per
 * process holds the other end of a pipe: when the pipe closes, it ends the registered processes and removes
 * the registered folders (see guard-main.ts).
 */
type Entry = ['process', number, NodeJS.Signals] | ['folder', string];

const entries = new Map<string, Entry>();
let guard: ChildProcess | undefined;
let pipe: Writable | undefined;

/**
 * Ends `pid` (and its process group, where it leads one) when this process is gone: first with `how`, after
 * 5 s with SIGKILL. Call the returned function once the process has ended.
 */
export function guardProcess(pid: number, how: NodeJS.Signals): () => void {
  return register(`process:${pid}`, ['process', pid, how]);
}

/** Removes `path` when this process is gone. Call the returned function once it has been removed. */
export function guardFolder(path: string): () => void {
  return register(`folder:${path}`, ['folder', path]);
}

function register(key: string, entry: Entry): () => void {
  entries.set(key, entry);
  if (pipe) tell('add', entry);
  else startGuard();
  return () => {
    if (entries.delete(key)) tell('remove', entry);
  };
}

function tell(action: 'add' | 'remove', entry: Entry): void {
  pipe?.write(`${JSON.stringify([action, ...entry])}\n`);
}

function startGuard(): void {
  // A session of its own: Ctrl-C in the terminal reaches every process of the foreground group, and the guard
  // has to outlive the one it watches over.
  const started = spawn(process.execPath, [fileURLToPath(new URL('./guard-main.ts', import.meta.url))], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guard = started;
  pipe = started.stdin;
  started.stdin.on('error', () => {});
  started.on('error', () => {});
  started.once('exit', () => {
    if (guard !== started) return;
    guard = undefined;
    pipe = undefined;
    if (entries.size > 0) startGuard();
  });
  // Neither the process nor the pipe keeps this process alive.
  started.unref();
  if ('unref' in started.stdin && typeof started.stdin.unref === 'function') started.stdin.unref();
  for (const entry of entries.values()) tell('add', entry);
}
