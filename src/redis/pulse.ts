import { randomUUID } from 'node:crypto';
import type { RedisClock } from './clock.ts';
import type { RedisClient } from './connect.ts';
import type { Keys } from './keys.ts';
import { runScript } from './scripts.ts';

const EVERY_MS = 500;
const HOLD_MS = 1000;

/**
 * Every process's regular contact with Redis. It tells the scripts that Redis was out of reach (a gap in everybody's
 * pulse), keeps the estimate of Redis's clock, and notices that the store was lost (another epoch).
 */
export class Pulse {
  readonly #redis: RedisClient;
  readonly #keys: Keys;
  readonly #clock: RedisClock;
  #timer: NodeJS.Timeout | undefined;
  #epoch: string | null = null;
  #alive = false;
  #beating: Promise<void> | null = null;
  #begunAt = 0;
  #tookMs = 0;
  readonly #onLost: (() => void)[] = [];
  readonly #onBack: (() => void)[] = [];

  constructor(redis: RedisClient, keys: Keys, clock: RedisClock) {
    this.#redis = redis;
    this.#keys = keys;
    this.#clock = clock;
    redis.on('close', () => {
      this.#alive = false;
      clock.forget();
    });
    // Not at the next tick of the timer: the beats taken meanwhile have to arrive before anybody is expired.
    redis.on('ready', () => void this.beat());
  }

  /** Whether the last contact succeeded. */
  get alive(): boolean {
    return this.#alive;
  }

  /** How long Redis took to answer last, or has kept us waiting by now, in ms; 0 while it cannot be reached at all. */
  get answerMs(): number {
    if (this.#beating) return Math.max(this.#tookMs, performance.now() - this.#begunAt);
    return this.#tookMs;
  }

  /** Called when Redis came back without what it held. */
  onLost(listener: () => void): void {
    this.#onLost.push(listener);
  }

  /** Called whenever Redis can be reached again. */
  onBack(listener: () => void): void {
    this.#onBack.push(listener);
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.beat(), EVERY_MS);
    void this.beat();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#beating;
  }

  /** One contact now; never throws. */
  beat(): Promise<void> {
    this.#beating ??= this.#contact().finally(() => {
      this.#beating = null;
    });
    return this.#beating;
  }

  async #contact(): Promise<void> {
    const was = this.#alive;
    try {
      const sentAt = performance.now();
      this.#begunAt = sentAt;
      const replies = await Promise.all(
        this.#keys.pulseShards.map((shard) =>
          runScript(
            this.#redis,
            'pulse',
            [this.#keys.pulse(shard), this.#keys.hold(shard), this.#keys.epoch(shard)],
            [HOLD_MS, randomUUID()],
          ),
        ),
      );
      this.#clock.learn(Number(replies[0]?.[0]), sentAt);
      this.#tookMs = performance.now() - sentAt;
      this.#alive = true;
      const epoch = replies.map((reply) => String(reply[1])).join(' ');
      const lost = this.#epoch !== null && this.#epoch !== epoch;
      this.#epoch = epoch;
      for (const listener of [...(was ? [] : this.#onBack), ...(lost ? this.#onLost : [])]) listener();
    } catch {
      // Whoever needs Redis meets the error itself; here it only means: not in contact.
      this.#alive = false;
      this.#tookMs = 0;
      this.#clock.forget();
    }
  }
}
