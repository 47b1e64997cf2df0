import { readFileSync } from 'node:fs';
import { availableParallelism, freemem } from 'node:os';
import type { Habit } from './place.ts';
import type { Step } from './step.ts';

/** Left to the machine. */
const RESERVE_MIB = 2048;
/** Of one core, or of all. */
const FULL = 0.85;
/** Half of the time that a silent user has left when their next beat is due at the latest. */
const BEHIND_PART = 1 / 2;
const OUTBOX_LAG_MS = 5000;

/** Memory that programs can still have, MiB. */
export function availableMiB(): number {
  try {
    return Number(/^MemAvailable:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]) / 1024;
  } catch {
    return freemem() / 2 ** 20;
  }
}

/** Why there is no memory for so many more, or null. */
export function outOfMemory(moreMiB: number): string | null {
  const left = availableMiB() - moreMiB;
  if (left >= RESERVE_MIB) return null;
  return `memory: ${Math.round(left)} MiB would be left, and ${RESERVE_MIB} are reserved`;
}

/** Why heartbeats can not be taken any more, or null. */
export function behind(behindMs: number, { ttlSeconds, intervalSeconds }: Habit): string | null {
  const limitMs = (ttlSeconds - intervalSeconds) * 1000 * BEHIND_PART;
  if (behindMs < limitMs) return null;
  return `heartbeats are ${Math.round(behindMs / 1000)} s behind of the ${ttlSeconds - intervalSeconds} s that they may be`;
}

/** What there is too little of for more users than these, or null. */
export function bottleneck({ moving, busiestSessions, gauges }: Step, habit: Habit): string | null {
  const full: string[] = [];
  const core = (what: string, cores: number, then: string) => {
    if (cores >= FULL) full.push(`${what} needs ${cores.toFixed(2)} of its one core (${then})`);
  };
  core('Redis', moving.redis ?? 0, 'more of them: a cluster');
  core('a session process', busiestSessions, 'more webs');
  core('the worker', moving.worker ?? 0, 'more workers');
  // Its own alone: the machine may have other work, which says nothing of the deployment.
  const all = Object.values(moving).reduce((sum, cores) => sum + cores, 0);
  if (all >= FULL * availableParallelism()) {
    full.push(`all cores of this machine: ${all.toFixed(2)} of ${availableParallelism()} (more machines)`);
  }
  const late = behind(gauges.behindMs, habit);
  if (late !== null) full.push(late);
  if (gauges.deliverMs >= OUTBOX_LAG_MS) full.push(`telling is ${Math.round(gauges.deliverMs / 1000)} s behind`);
  if (gauges.recordMs >= OUTBOX_LAG_MS) full.push(`recording is ${Math.round(gauges.recordMs / 1000)} s behind`);
  return full.length > 0 ? full.join('; ') : null;
}
