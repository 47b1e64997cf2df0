import { createHistogram, type EventLoopUtilization, performance } from 'node:perf_hooks';
import { every } from '../lifecycle.ts';

/** How often a process with something to do is looked at: often enough for the pauses that matter. */
const BUSY_MS = 50;
/** And one that does next to nothing, for each look wakes it. */
const IDLE_MS = 500;
/** Busy for so large a part of the time it has something to do, and for so long after that. */
const BUSY_SHARE = 0.05;
const STAYS_BUSY_MS = 10_000;
/** Of an idle process it is not known which of its turns took the time: of so few, one may have taken all of it. */
const FEW_TURNS = 10;
const NS_IN_MS = 1e6;
const NS_IN_S = 1e9;

/** Hears how late (ms) the event loop was at each look. */
export type LagListener = (lagMs: number) => void;

/**
 * How late the timers of this process are. Node's own histogram wakes a process all the time, and forgets, when it is reset, since
 * when it waits, so of one that is held still again and again it may see nothing.
 */
class LoopLag {
  readonly #listeners = new Set<LagListener>();
  #stop: (() => void) | null = null;
  #everyMs = IDLE_MS;
  #due = 0;
  /** When it was judged last whether there is something to do, and what the process had done by then. */
  #judgedAt = 0;
  #used: EventLoopUtilization | undefined;
  #turns = 0;
  #busyAt = Number.NEGATIVE_INFINITY;

  /** Returns what ends it. */
  listen(listener: LagListener): () => void {
    this.#listeners.add(listener);
    if (this.#stop === null) {
      this.#note(performance.now());
      this.#lookEvery(IDLE_MS);
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#stop?.();
      this.#stop = null;
    };
  }

  /** How late (ms) the look is that is to come next. */
  get nowMs(): number {
    return this.#stop === null ? 0 : Math.max(0, performance.now() - this.#due);
  }

  #lookEvery(ms: number): void {
    this.#stop?.();
    this.#everyMs = ms;
    this.#due = performance.now() + ms;
    this.#stop = every(ms, () => this.#look());
  }

  #look(): void {
    const now = performance.now();
    const late = Math.max(0, now - this.#due);
    this.#due = now + this.#everyMs;
    const missed = now - this.#judgedAt < IDLE_MS - BUSY_MS / 2 ? 0 : this.#judge(now);
    for (const listener of this.#listeners) listener(Math.max(late, missed));
  }

  /** Returns how late (ms) the event loop may have been between two looks. */
  #judge(now: number): number {
    const { active, utilization } = performance.eventLoopUtilization(this.#used);
    const turns = Math.max(1, turnsSoFar() - this.#turns);
    const isBusy = utilization >= BUSY_SHARE;
    const missed = isBusy && this.#everyMs === IDLE_MS ? active * Math.min(1, FEW_TURNS / turns) : 0;
    if (isBusy) this.#busyAt = now;
    const wanted = now - this.#busyAt < STAYS_BUSY_MS ? BUSY_MS : IDLE_MS;
    if (wanted !== this.#everyMs) this.#lookEvery(wanted);
    this.#note(now);
    return missed;
  }

  #note(now: number): void {
    this.#judgedAt = now;
    this.#used = performance.eventLoopUtilization();
    this.#turns = turnsSoFar();
  }
}

const turnsSoFar = () => performance.nodeTiming.uvMetricsInfo.loopCount;

/** One for the whole process, for it has one event loop. */
export const loopLag = new LoopLag();

export interface LagFigures {
  min: number;
  max: number;
  mean: number;
  stddev: number;
  p50: number;
  p90: number;
  p99: number;
}

/**
 * Returns what reads how late the event loop was since it was read last, in seconds. What is late at that moment is in the greatest;
 * the others are 0 where nothing has been looked at since.
 */
export function lagFigures(): () => LagFigures {
  const histogram = createHistogram();
  // In whole nanoseconds, of which it takes no less than one.
  loopLag.listen((ms) => histogram.record(Math.max(1, Math.round(ms * NS_IN_MS))));
  return () => {
    const seconds = (ns: number) => (histogram.count === 0 ? 0 : ns / NS_IN_S);
    const figures = {
      min: seconds(histogram.min),
      max: Math.max(seconds(histogram.max), loopLag.nowMs / 1000),
      mean: seconds(histogram.mean),
      stddev: seconds(histogram.stddev),
      p50: seconds(histogram.percentile(50)),
      p90: seconds(histogram.percentile(90)),
      p99: seconds(histogram.percentile(99)),
    };
    histogram.reset();
    return figures;
  };
}
