import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';

/** Whether a process runs. A zombie, which waits only for somebody to read its exit code, does not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    if (process.platform !== 'linux') return true;
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** The processes whose command line or environment holds `text` (Linux), this one left out. */
export async function runningWith(text: string): Promise<number[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0 && pid !== process.pid);
  return pids.filter(
    (pid) => isRunning(pid) && [`/proc/${pid}/cmdline`, `/proc/${pid}/environ`].some((file) => holds(file, text)),
  );
}

function holds(file: string, text: string): boolean {
  try {
    return readFileSync(file, 'utf8').includes(text);
  } catch {
    return false;
  }
}
