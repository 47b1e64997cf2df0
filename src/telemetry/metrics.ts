import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { type LagFigures, lagFigures, loopLag } from './loop-lag.ts';
import { PARTS, type Reasons } from './readiness.ts';
import { type ScriptRun, scriptRuns } from './script-runs.ts';

/** How much waits in one queue. */
export interface QueueState {
  queue: string;
  jobs: Record<'waiting' | 'active' | 'delayed' | 'failed', number>;
  /** How long the job that waits longest has been due; 0 where none waits. */
  oldestMs: number;
}

/** What one group has still to do with the outbox, over all shards. */
export interface OutboxFigures {
  group: 'deliver' | 'record';
  entries: number;
  /** Age of the oldest of them; 0 where there is none. */
  oldestMs: number;
}

/** What Redis holds, the same for every process that asks. */
export interface StoreFigures {
  activeUsers: number;
  queues: QueueState[];
  outbox: OutboxFigures[];
  /** How many others those ask for today who ask for most; the greatest first, a few of them. */
  looks: number[];
}

/** Asked of Redis at most this often, however many scrape. */
export const FIGURES_KEPT_MS = 3000;
const PATIENCE_MS = 2000;
/** Node's own measurement of the event loop would wake a process for each look; so late it looks never. */
const NEVER_MS = 2 ** 31 - 1;
/** How the names of all figures of the event loop begin that come with Node's own measurements. */
export const EVENT_LOOP_LAG = 'rollcall_nodejs_eventloop_lag';
const SCRIPT_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3];

/** Of events that should take no time, and may take a while: from 5 ms to half a minute. */
export const LATENCY_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30];

/** The measurements of one process, those that every process has included: its own health, and its calls of scripts. */
export function createRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: 'rollcall_', eventLoopMonitoringPrecision: NEVER_MS });
  addLagMetrics(registry);
  const seconds = new Histogram({
    name: 'rollcall_redis_script_seconds',
    help: 'Time from calling a script in Redis to its answer',
    labelNames: ['script'],
    buckets: SCRIPT_BUCKETS,
    registers: [registry],
  });
  scriptRuns.subscribe((message) => {
    const { script, ms } = message as ScriptRun;
    seconds.observe({ script }, ms / 1000);
  });
  return registry;
}

/** How late the event loop was since the last scrape, under the names that Node's own measurement goes by. */
function addLagMetrics(registry: Registry): void {
  for (const { name } of registry.getMetricsAsArray()) {
    if (name.startsWith(`${EVENT_LOOP_LAG}_`)) registry.removeSingleMetric(name);
  }
  const read = lagFigures();
  const parts: Partial<Record<keyof LagFigures, Gauge>> = {};
  const gauge = (part: string, help: string, collect = () => {}) =>
    // Of several processes of a machine the slowest one speaks: in an average it would hide behind those that are idle.
    new Gauge({ name: `${EVENT_LOOP_LAG}${part}_seconds`, help, registers: [registry], aggregator: 'max', collect });
  // The first to be collected: it sets the others.
  const now = gauge('', 'How late the event loop is now', () => {
    now.set(loopLag.nowMs / 1000);
    for (const [part, value] of Object.entries(read())) parts[part as keyof LagFigures]?.set(value);
  });
  for (const [part, what] of Object.entries(LAG_PARTS)) {
    parts[part as keyof LagFigures] = gauge(`_${part}`, `How late the event loop was since the last scrape: ${what}`);
  }
}

const LAG_PARTS: Record<keyof LagFigures, string> = {
  min: 'the least',
  max: 'the most',
  mean: 'the mean',
  stddev: 'the standard deviation',
  p50: 'the median',
  p90: 'the 90th percentile',
  p99: 'the 99th percentile',
};

/**
 * To be awaited before the measurements of this process are read: how late its event loop is now is noted by a timer, which is due by
 * then. Read before, it would be lost, for reading begins the figures anew.
 */
export const lagNoted = () => new Promise<void>((resolve) => setTimeout(resolve, 1));

/** A counter that stands at 0 for each value of its label from the start, so that the first event is seen as a rise. */
export function countersFrom<L extends string>(
  registry: Registry,
  { name, help, label, values }: { name: string; help: string; label: L; values: readonly string[] },
): Counter<L> {
  const counter = new Counter({ name, help, labelNames: [label], registers: [registry] });
  for (const value of values) counter.inc({ [label]: value } as Record<L, string>, 0);
  return counter;
}

/** What `GET /readyz` says of the stores, on workers too; and how often Redis refused a command, by kind. */
export function addReadinessMetrics(
  registry: Registry,
  readReasons: () => Promise<Reasons>,
  refusals: ReadonlyMap<string, number>,
): void {
  new Gauge({
    name: 'rollcall_ready',
    help: 'Whether Redis, PostgreSQL and the queues can be used by this process: 1 or 0',
    labelNames: ['part'],
    registers: [registry],
    // Of the processes of a machine, the one that is worst off.
    aggregator: 'min',
    async collect() {
      const reasons = await readReasons();
      for (const part of PARTS) this.set({ part }, reasons[part] === undefined ? 1 : 0);
    },
  });
  new Counter({
    name: 'rollcall_redis_refusals_total',
    help: 'Commands that Redis answered with a refusal, such as OOM or NOPERM',
    labelNames: ['kind'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [kind, count] of refusals) this.inc({ kind }, count);
    },
  });
}

/** What Redis holds. Without an answer these are absent, which is not the same as 0. */
export function addStoreMetrics(registry: Registry, read: () => Promise<StoreFigures>): void {
  const figures = keptFor(FIGURES_KEPT_MS, read);
  const gauge = <L extends string>(
    name: string,
    help: string,
    labelNames: L[],
    set: (gauge: Gauge<L>, figures: StoreFigures) => void,
  ) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      // Several processes of a machine say the same.
      aggregator: 'max',
      async collect() {
        const answer = await figures();
        this.reset();
        if (answer) set(this, answer);
        else if (labelNames.length === 0) this.remove();
      },
    });
  gauge('rollcall_active_users', 'Users with a living session, those who appear inactive included', [], (to, from) =>
    to.set(from.activeUsers),
  );
  gauge('rollcall_queue_jobs', 'Jobs by queue and state', ['queue', 'state'], (to, from) => {
    for (const { queue, jobs } of from.queues) {
      for (const [state, count] of Object.entries(jobs)) to.set({ queue, state }, count);
    }
  });
  gauge(
    'rollcall_queue_oldest_waiting_seconds',
    'How long the job that waits longest has been due',
    ['queue'],
    (to, from) => {
      for (const { queue, oldestMs } of from.queues) to.set({ queue }, oldestMs / 1000);
    },
  );
  gauge('rollcall_looks_most', 'How many others those looked at today who looked at most', ['rank'], (to, from) => {
    for (const [n, looked] of from.looks.entries()) to.set({ rank: `${n + 1}` }, looked);
  });
  gauge('rollcall_outbox_entries', 'Changes still to be delivered or recorded', ['group'], (to, from) => {
    for (const { group, entries } of from.outbox) to.set({ group }, entries);
  });
  gauge(
    'rollcall_outbox_oldest_seconds',
    'Age of the oldest change still to be delivered or recorded',
    ['group'],
    (to, from) => {
      for (const { group, oldestMs } of from.outbox) to.set({ group }, oldestMs / 1000);
    },
  );
}

/** One question at a time, whose answer is good for a while; undefined where there is none, or none soon enough. */
export function keptFor<T>(ms: number, ask: () => Promise<T>): () => Promise<T | undefined> {
  let answer: Promise<T | undefined> | undefined;
  let asking = false;
  let until = 0;
  return () => {
    if (!answer || (!asking && performance.now() >= until)) {
      until = performance.now() + ms;
      asking = true;
      const asked = ask()
        .catch(() => undefined)
        .finally(() => {
          asking = false;
        });
      // What hangs must not keep from being read what does not.
      answer = Promise.race([asked, after(PATIENCE_MS)]);
    }
    return answer;
  };
}

const after = (ms: number) => new Promise<undefined>((resolve) => setTimeout(resolve, ms, undefined).unref());
