import { readdirSync, readFileSync } from 'node:fs';

/** Which processes belong to a part of a system right now; stores start and end children as they please. */
export type Pids = () => number[];

/** CPU time (user and system, ms) that a part has used so far, what its ended children used included. */
export function cpuMs(pids: Pids): number {
  return pids().reduce((sum, pid) => sum + ownCpuMs(pid) + endedChildrenMs(pid), 0);
}

/** What the processes have for themselves and their share of what they have in common, in KiB. */
export function pssKiB(pids: Pids): number {
  return pids().reduce((sum, pid) => {
    const rollup = read(`/proc/${pid}/smaps_rollup`) ?? '';
    return sum + Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0);
  }, 0);
}

/** The children of a process, not theirs. */
export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => Number(statOf(child)?.[1]) === pid);
}

/**
 * To the nanosecond where the kernel keeps it by thread. Threads that have ended are missing there, so it counts for
 * programs that keep theirs, as all of these do.
 */
function ownCpuMs(pid: number): number {
  let nanos = 0;
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      nanos += Number(read(`/proc/${pid}/task/${thread}/schedstat`)?.split(' ')[0] ?? Number.NaN);
    }
  } catch {
    return 0;
  }
  if (Number.isFinite(nanos)) return nanos / 1e6;
  const fields = statOf(pid);
  return (Number(fields?.[11] ?? 0) + Number(fields?.[12] ?? 0)) * TICK_MS;
}

function endedChildrenMs(pid: number): number {
  const fields = statOf(pid);
  return (Number(fields?.[13] ?? 0) + Number(fields?.[14] ?? 0)) * TICK_MS;
}

/** USER_HZ is a hundred everywhere. */
const TICK_MS = 10;

/** The fields of /proc/<pid>/stat from the state on: a program's name may hold blanks and brackets. */
function statOf(pid: number): string[] | null {
  return (
    read(`/proc/${pid}/stat`)
      ?.replace(/^.*\) /s, '')
      .split(' ') ?? null
  );
}

function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
