import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * The guard process: remembers what its parent told it over standard input and, when that pipe closes (the
 * parent ended, however), ends the processes and removes the folders that are still registered.
 */
const graceMs = 5_000;
const processes = new Map<number, NodeJS.Signals>();
const folders = new Set<string>();

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});

for await (const line of createInterface({ input: process.stdin })) {
  const [action, kind, subject, how] = JSON.parse(line);
  if (kind === 'folder') action === 'add' ? folders.add(subject) : folders.delete(subject);
  else action === 'add' ? processes.set(subject, how) : processes.delete(subject);
}

for (const [pid, how] of processes) {
  signal(pid, how);
  // A process stopped by SIGSTOP acts on the signal only when it runs again.
  signal(pid, 'SIGCONT');
}
const deadline = Date.now() + graceMs;
while (Date.now() < deadline && [...processes.keys()].some(isAlive)) await delay(25);
for (const pid of processes.keys()) signal(pid, 'SIGKILL');
await Promise.all(
  [...folders].map((folder) => rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })),
);

function signal(pid: number, name: NodeJS.Signals): void {
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, name);
      return;
    } catch {
      // No such group (the process does not lead one) or no such process: try the next, or nothing is left to do.
    }
  }
}

/** An orphan that nobody reaps stays as a zombie and still answers to signal 0: it does not count as alive. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return process.platform !== 'linux';
  }
}
