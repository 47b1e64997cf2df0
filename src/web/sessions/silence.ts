import { Ticker } from '../../lifecycle.ts';
import type { Arm } from '../../presence/follow-up.ts';
import type { FollowUps } from '../../queues/follow-ups.ts';
import type { Connection } from './connection.ts';
import type { SessionTimes } from './session-times.ts';

/** Who has been silent until so shortly before the deadline has a job added for it; so much of the TTL at most. */
const SILENCE_MS = 5000;
const SILENCE_PART = 1 / 5;
/** Between two looks nobody's deadline may come and go, however short a TTL of their own. */
const MORE_THAN_A_LOOK = 1.1;
/** Rather a little late than in vain. */
const LOOK_AFTER_MS = 10;
/** Of more in a second, as when a network is gone, the sweep takes care: many at once are cheaper there. */
const SILENT_AT_ONCE = 200;
const LONGEST_LOOK_MS = 1000;

/**
 * Has those who fall silent looked at when their time has come: the jobs of users who are here sleep for long, since each costs more
 * than all heartbeats of its user.
 */
export class Silence {
  readonly #held: ReadonlyMap<string, Connection>;
  readonly #followUps: FollowUps;
  readonly #everyMs: number;
  readonly #looks: Ticker;

  /** `held`: the connections of this process; `ttlMs`: of most of them. */
  constructor(held: ReadonlyMap<string, Connection>, followUps: FollowUps, { ttlMs }: Pick<SessionTimes, 'ttlMs'>) {
    this.#held = held;
    this.#followUps = followUps;
    this.#everyMs = Math.min(LONGEST_LOOK_MS, Math.round(ttlMs / 20));
    this.#looks = new Ticker(this.#everyMs, () => this.#look());
  }

  /** Begins to look. */
  start(): void {
    this.#looks.start();
  }

  /** Looks no more. */
  stop(): void {
    this.#looks.stop();
  }

  #look(): void {
    const now = performance.now();
    const leastMs = MORE_THAN_A_LOOK * this.#everyMs;
    let found = 0;
    for (const connection of this.#held.values()) {
      const { lastBeat, shard, userId, times } = connection;
      const soonMs = Math.max(Math.min(SILENCE_MS, times.ttlMs * SILENCE_PART), leastMs);
      if (now - lastBeat < times.ttlMs - soonMs || connection.lookedAfter === lastBeat) continue;
      if (++found > SILENT_AT_ONCE) return;
      connection.lookedAfter = lastBeat;
      const delayMs = Math.max(0, lastBeat + times.ttlMs - now) + LOOK_AFTER_MS;
      const arm: Arm = { kind: 'once', userId, why: 'silent', delayMs };
      this.#followUps.add({ shard, wakeDeliver: false, wakeRecord: false, arms: [arm] });
    }
  }
}
