import { Ticker } from '../../lifecycle.ts';
import { loopLag } from '../../telemetry/loop-lag.ts';

const SAMPLE_MS = 500;
/** So many samples in a row call for more before anything is shed: a pause of the machine is no load. */
const PRESSED_SAMPLES = 3;
/** And so many for less before one level is taken back: recovery must not bring the next wave at once. */
const CALM_SAMPLES = 4;

/** From these on (ms) a process lengthens its batching windows, and then refuses newcomers. */
const LIMITS = [
  { loopLagMs: 100, redisMs: 250 },
  { loopLagMs: 500, redisMs: 1000 },
] as const;

/** 0: all is well; 1: batching windows are longer; 2: newcomers are refused. Heartbeats are taken at every level. */
export type Level = 0 | 1 | 2;

/** The level that a pair of measurements calls for. */
export function levelOf(loopLagMs: number, redisMs: number): Level {
  if (loopLagMs >= LIMITS[1].loopLagMs || redisMs >= LIMITS[1].redisMs) return 2;
  if (loopLagMs >= LIMITS[0].loopLagMs || redisMs >= LIMITS[0].redisMs) return 1;
  return 0;
}

/**
 * Turns samples into a level: up to the least that was called for through a while of pressure; down one at a time,
 * after a while of calm.
 */
export class LevelKeeper {
  level: Level = 0;
  #pressed: Level[] = [];
  #calm = 0;

  /** Takes a sample, and returns the level that holds from now on. */
  sample(called: Level): Level {
    if (called > this.level) {
      this.#calm = 0;
      this.#pressed.push(called);
      if (this.#pressed.length >= PRESSED_SAMPLES) {
        this.level = Math.min(...this.#pressed) as Level;
        this.#pressed = [];
      }
      return this.level;
    }
    this.#pressed = [];
    this.#calm = called < this.level ? this.#calm + 1 : 0;
    if (this.#calm >= CALM_SAMPLES) {
      this.#calm = 0;
      this.level = (this.level - 1) as Level;
    }
    return this.level;
  }
}

/** Measures how hard this process and its Redis are pressed, twice a second. */
export class Pressure {
  readonly #keeper = new LevelKeeper();
  readonly #redisMs: () => number;
  readonly #changed: (level: Level) => void;
  #longestMs = 0;
  readonly #samples = new Ticker(SAMPLE_MS, () => this.#sample());
  #deaf: (() => void) | null = null;

  /** `redisMs`: how long Redis took to answer last, or has been taking so far. */
  constructor(redisMs: () => number, changed: (level: Level) => void) {
    this.#redisMs = redisMs;
    this.#changed = changed;
  }

  /** The level that holds now. */
  get level(): Level {
    return this.#keeper.level;
  }

  /** The longest delay of the event loop since the last sample, in ms. */
  get loopLagMs(): number {
    return Math.max(this.#longestMs, loopLag.nowMs);
  }

  /** How much longer batching windows are now. */
  get stretch(): number {
    return this.level === 0 ? 1 : 10;
  }

  start(): void {
    this.#samples.start();
    if (!this.#samples.running) return;
    this.#deaf ??= loopLag.listen((lagMs) => {
      this.#longestMs = Math.max(this.#longestMs, lagMs);
    });
  }

  stop(): void {
    this.#samples.stop();
    this.#deaf?.();
    this.#deaf = null;
  }

  #sample(): void {
    const before = this.level;
    const level = this.#keeper.sample(levelOf(this.loopLagMs, this.#redisMs()));
    this.#longestMs = 0;
    if (level !== before) this.#changed(level);
  }
}
