import { predict } from '../measure/prediction.ts';
import { short } from '../measure/statistics.ts';
import type { Habit } from './place.ts';
import type { Cores, Memory, Step } from './step.ts';

type Line = Record<string, string | number>;

/** What an empty deployment takes. */
export interface Empty {
  cores: Cores;
  memory: Memory;
}

/** Measured beside predicted. CPU and memory are beyond those of the empty deployment, for so is what is predicted. */
export function beside(steps: Step[], habit: Habit, empty: Empty): Line[] {
  return steps.flatMap((step) => {
    const { users, idle, moving, memory, wal, changesPerSecond } = step;
    const told = { ...habit, users, watchers: 0 };
    const [atRest, changing] = [predict({ ...told, changesPerSecond: 0 }), predict({ ...told, changesPerSecond })];
    const line = (what: string, unit: string, measured: number, predicted: number) => ({
      users: short(users),
      what,
      unit,
      measured: short(measured),
      predicted: short(predicted),
      'measured / predicted': predicted === 0 ? '' : short(measured / predicted),
    });
    const cores = (what: string, part: string, predictedPart: keyof typeof atRest.cores) =>
      [
        ['idle', idle, atRest.cores] as const,
        [`${short(changesPerSecond)} changes a second`, moving, changing.cores] as const,
      ].map(([when, measured, predicted]) =>
        line(`${what}, ${when}`, 'cores', beyond(measured, empty.cores, part), predicted[predictedPart]),
      );
    return [
      ...cores('web, measured without sockets', 'sessions', 'web'),
      ...cores('worker', 'worker', 'worker'),
      ...cores('Redis', 'redis', 'redis'),
      ...cores('PostgreSQL', 'postgres', 'postgres'),
      line('Redis memory', 'MiB', memory.redisMiB - empty.memory.redisMiB, atRest.redisMiB),
      line(
        'web memory, measured without sockets',
        'MiB PSS',
        beyond(memory.pssMiB, empty.memory.pssMiB, 'sessions'),
        atRest.webMiB,
      ),
      line('WAL', 'MB a second', wal, changing.wal),
    ];
  });
}

/** How people fared meanwhile: a column for each size. */
export function fared(steps: Step[]): Line[] {
  const lines: [string, (step: Step) => string | number][] = [
    ['changes a second', ({ changesPerSecond }) => short(changesPerSecond)],
    ['goodbye to told, p50, ms', ({ goodbyes }) => short(goodbyes.p50)],
    ['goodbye to told, p99, ms', ({ goodbyes }) => `${short(goodbyes.p99)} of ${goodbyes.count}`],
    ['silence to told beyond the TTL, p99, ms', ({ timeouts }) => (timeouts ? short(timeouts.p99) : '')],
    ['the same, later than 2 s, and never', ({ timeouts }) => (timeouts ? `${timeouts.late}, ${timeouts.never}` : '')],
    ['timed out though they beat, by the worker', ({ falselyInactive }) => falselyInactive],
    ['told inactive though they are here, of a sample', ({ falselyTold }) => falselyTold],
    ['in Redis: here and not active, gone and active', ({ missing, lingering }) => `${missing}, ${lingering}`],
    ['heartbeats behind at most, s', ({ gauges }) => short(gauges.behindMs / 1000)],
    ['telling behind at most, ms', ({ gauges }) => gauges.deliverMs],
    ['recording behind at most, ms', ({ gauges }) => gauges.recordMs],
    ['a sweep, ms', ({ sweepMs }) => short(sweepMs)],
    ['commands over 50 ms in Redis', ({ slow }) => slow.length],
    ['session processes', ({ processes }) => processes],
    ['the busiest of them, cores', ({ busiestSessions }) => short(busiestSessions)],
    ["this machine busy, %, others' work included", ({ machine }) => Math.round(machine * 100)],
    ...['web', 'sessions', 'worker', 'redis', 'postgres'].map((part): [string, (step: Step) => string] => [
      `PSS of ${part}, MiB`,
      ({ memory }) => short(memory.pssMiB[part] ?? Number.NaN),
    ]),
  ];
  return lines.map(([what, of]) => ({
    what,
    ...Object.fromEntries(steps.map((step) => [`${short(step.users)} users`, of(step)])),
  }));
}

function beyond(measured: Record<string, number>, empty: Record<string, number>, part: string): number {
  return (measured[part] ?? 0) - (empty[part] ?? 0);
}
