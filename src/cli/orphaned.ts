import { readFileSync } from 'node:fs';

/** Between npm and this process: a shell, and on an older Node two of ours that start the project's own. */
const MOST_BETWEEN = 5;
const LOOK_AGAIN_MS = 1000;

/**
 * Calls back when the npm (or npx) that started this process is gone: killed, it passes no signal on. Where no npm did, there is
 * nothing to see, for whoever starts a command itself may mean it to stay. On Linux; elsewhere nothing is known of ancestors.
 */
export function whenOrphaned(callBack: () => void): void {
  const before = upToNpm();
  if (before === undefined) return;
  const timer = setInterval(() => {
    if (chain(before.length).join() === before.join()) return;
    clearInterval(timer);
    callBack();
  }, LOOK_AGAIN_MS);
  timer.unref();
}

/** The ancestors of this process, the nearest first, up to npm; undefined where it is none of them. */
function upToNpm(): number[] | undefined {
  const ancestors = chain(MOST_BETWEEN);
  const npm = ancestors.findIndex((pid) => /^(npm|npx) /.test(read(pid, 'cmdline')));
  return npm < 0 ? undefined : ancestors.slice(0, npm + 1);
}

function chain(length: number): number[] {
  const pids: number[] = [];
  for (let pid = process.ppid; pids.length < length && pid > 1; pid = parentOf(pid)) pids.push(pid);
  return pids;
}

function parentOf(pid: number): number {
  return Number(/^\d+ \(.*\) \S (\d+)/s.exec(read(pid, 'stat'))?.[1] ?? 0);
}

function read(pid: number, file: 'stat' | 'cmdline'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}
