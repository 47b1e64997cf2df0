import { cpus } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { oneClose } from '../load/watcher.ts';
import { type Gauges, gaugesDuring } from '../measure/gauges.ts';
import { cpuMs, pssKiB } from '../measure/processes.ts';
import { slowest, usedMemory } from '../measure/redis-figures.ts';
import { costOf } from '../measure/rounds.ts';
import { Scrape } from '../measure/scrape.ts';
import { type Spread, spreadOf } from '../measure/statistics.ts';
import type { Place } from './place.ts';
import { compareAll } from './truth.ts';

const SILENT = 100;
const SAMPLE = 1000;
const GOERS = 4;
const BETWEEN_CLOSES_MS = 700;
/** Beyond it a timeout is late. */
const LATE_MS = 2000;
const COMES_TO_REST_MS = 3000;

export interface Times {
  /** Until what the coming left behind is gone. */
  settleSeconds: number;
  idleSeconds: number;
  movingSeconds: number;
}

/** CPU of a part of the deployment. */
export type Cores = Record<string, number>;

export interface Memory {
  redisMiB: number;
  pssMiB: Record<string, number>;
}

/** What was seen of a deployment with so many users. */
export interface Step {
  users: number;
  changesPerSecond: number;
  /** Of sessions. */
  processes: number;
  /** While nobody comes or goes. */
  idle: Cores;
  /** While they do. */
  moving: Cores;
  busiestSessions: number;
  /** What part of all cores was busy, by whomever. */
  machine: number;
  memory: Memory;
  /** MB a second. */
  wal: number;
  gauges: Gauges;
  goodbyes: Spread;
  timeouts: { p99: number; late: number; never: number } | null;
  /** Told inactive because of a deadline, by what the worker counts, though they beat. */
  falselyInactive: number;
  /** The same, by what the watcher heard of its sample. */
  falselyTold: number;
  /** Here, and not active; and the other way round. */
  missing: number;
  lingering: number;
  sweepMs: number;
  /** Commands of Redis that took too long, also while users came; the slowest first. */
  slow: { ms: number; what: string }[];
}

export async function coresDuring({ system }: Place, work: () => Promise<unknown>): Promise<Cores> {
  const from = performance.now();
  const { parts } = await costOf(system, work);
  const ms = performance.now() - from;
  return Object.fromEntries(Object.entries(parts).map(([part, cpu]) => [part, cpu / ms]));
}

export async function memoryOf({ system, redis }: Place): Promise<Memory> {
  const parts = Object.entries(system.parts);
  return {
    redisMiB: (await usedMemory(redis)) / 2 ** 20,
    pssMiB: Object.fromEntries(parts.map(([part, pids]) => [part, pssKiB(pids) / 1024])),
  };
}

/** Looks at the deployment as it is, first quiet and then with comings and goings. `before`: as it was before it grew. */
export async function measureStep(
  place: Place,
  { settleSeconds, idleSeconds, movingSeconds }: Times,
  before: Scrape,
): Promise<Step> {
  const { population, redis, watcher, heard, extra, ttlSeconds, changeSeconds } = place;
  const users = population.size;
  const prefix = `silent-${users}-`;
  const silent = { prefix, count: SILENT };
  await extra.ask('open', silent, SILENT);
  await watcher.watch([...population.sample(SAMPLE), ...Array.from({ length: SILENT }, (_, n) => `${prefix}${n}`)]);
  await watcher.watch(Array.from({ length: GOERS }, (_, n) => `goer-${n}`));
  await pause(settleSeconds * 1000);
  const idle = await coresDuring(place, () => pause(idleSeconds * 1000));
  const memory = await memoryOf(place);

  const scrape = await Scrape.of(place.metricsPort);
  const [wal, machine] = [await walPosition(place), machineTimes()];
  const ofProcesses = population.processes.map((pid) => cpuMs(() => [pid]));
  const from = performance.now();
  await extra.ask('fallSilent', silent);
  let leaving = 0;
  let goodbyes: number[] = [];
  let gauges: Gauges | undefined;
  const moving = await coresDuring(place, async () => {
    const turnOver = population.turnOver(movingSeconds / changeSeconds / 2, movingSeconds);
    [gauges, goodbyes, leaving] = await Promise.all([
      gaugesDuring(place, turnOver),
      closesDuring(place, turnOver),
      turnOver,
    ]);
  });
  const ms = performance.now() - from;
  const spent = population.processes.map((pid, n) => cpuMs(() => [pid]) - (ofProcesses[n] ?? 0));
  const machineAfter = machineTimes();
  const walBytes = (await walPosition(place)) - wal;
  const slow = await slowest(redis);

  await pause(COMES_TO_REST_MS);
  const { falselyTold, lateMs } = heard.since();
  const after = await Scrape.of(place.metricsPort);
  const sweep = (of: string) => after.since(scrape, `rollcall_redis_script_seconds_${of}{script="sweep"}`);
  return {
    users,
    changesPerSecond: (2 * (leaving + goodbyes.length) * 1000) / ms,
    processes: population.processes.length,
    idle,
    moving,
    busiestSessions: Math.max(...spent) / ms,
    machine: 1 - (machineAfter.idle - machine.idle) / (machineAfter.all - machine.all),
    memory,
    wal: walBytes / 1000 / ms,
    gauges: gauges ?? { behindMs: 0, deliverMs: 0, recordMs: 0 },
    goodbyes: spreadOf(goodbyes),
    timeouts:
      ttlSeconds > movingSeconds
        ? null
        : {
            p99: spreadOf(lateMs).p99,
            late: lateMs.filter((late) => late > LATE_MS).length,
            never: SILENT - lateMs.length,
          },
    falselyInactive: after.since(before, 'rollcall_transitions_total{cause="timeout"}') - lateMs.length,
    falselyTold,
    ...(await compareAll(place)),
    sweepMs: (sweep('sum') * 1000) / sweep('count'),
    slow,
  };
}

/** Real clients come and leave, again and again, until some work is done: how long after each goodbye the watcher was told. */
async function closesDuring({ system, watcher }: Place, work: Promise<unknown>): Promise<number[]> {
  const tookMs: number[] = [];
  let done = false;
  const end = work.finally(() => {
    done = true;
  });
  const one = async (userId: string) => {
    while (!done) {
      tookMs.push(await oneClose(system, watcher, userId).catch(() => Number.POSITIVE_INFINITY));
      await pause(BETWEEN_CLOSES_MS);
    }
  };
  await Promise.all([end, ...Array.from({ length: GOERS }, (_, n) => one(`goer-${n}`))]);
  return tookMs;
}

async function walPosition({ db }: Place): Promise<number> {
  const { rows } = await db.query<{ at: string }>(`SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') AS at`);
  return Number(rows[0]?.at);
}

/** How long the cores of this machine were there so far, and idle. */
function machineTimes(): { all: number; idle: number } {
  const times = cpus().map((cpu) => cpu.times);
  return {
    all: times.reduce((sum, { user, nice, sys, irq, idle }) => sum + user + nice + sys + irq + idle, 0),
    idle: times.reduce((sum, { idle }) => sum + idle, 0),
  };
}
