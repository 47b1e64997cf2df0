import type { FollowUp } from '../presence/follow-up.ts';
import { isTraced, type TraceContext } from '../telemetry/tracing.ts';
import { isRedisAway } from './absence.ts';
import { gatherMs } from './crowds.ts';
import type { Asked, PresenceScripts } from './presence-scripts.ts';
import type { Reply, ScriptName } from './scripts.ts';

/** What comes so soon (ms) after the last call goes together: a call costs more than what it does for one user. */
const EVERY_MS = 10;
/**
 * So soon at least where several went together last. In a crowd each call more wakes Redis, its asker, and whoever is asked next, which costs
 * more than a user does in it; who comes one by one waits for no crowd.
 */
const BUSY_EVERY_MS = 30;
/** No script is long. */
const MOST_AT_ONCE = 100;

interface Waiting {
  shard: number;
  trace: TraceContext;
  argsAfter: (waitedMs: number) => (string | number)[];
  /** By Redis's clock (ms), as far as known; 0: unknown. */
  at: number;
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

interface Answer {
  reply: Reply[];
  followUp: FollowUp;
}

/**
 * A script that takes users of several shards of a node, asked for one user at a time. The first after a quiet time goes at once,
 * with all that is asked in the same turn of the event loop; what follows within ten milliseconds goes together, in a crowd within thirty
 * to sixty.
 */
export class GatheredScript {
  readonly #scripts: PresenceScripts;
  readonly #script: ScriptName;
  readonly #slotGroupOf: (shard: number) => number;
  readonly #gatherings = new Map<number, Gathering>();

  /** `slotGroupOf`: on which node a shard is. */
  constructor(scripts: PresenceScripts, script: ScriptName, slotGroupOf: (shard: number) => number) {
    this.#scripts = scripts;
    this.#script = script;
    this.#slotGroupOf = slotGroupOf;
  }

  /**
   * Asks the script for one user of a shard. `argsAfter` makes what it is given behind the shard, when it is sent: `waitedMs` after now.
   * Returns what it answers for this user, and what the caller owes to the queues. Rejects with ioredis's errors, and RedisRefused.
   */
  async ask(shard: number, argsAfter: Waiting['argsAfter']): Promise<Answer> {
    const trace = this.#scripts.trace();
    // What is traced stays apart, or it would be told what others have caused.
    if (isTraced(trace)) {
      // And comes no sooner than what was asked before it.
      this.send(shard);
      const { replies, followUps } = await this.#scripts.runMany(this.#script, [{ shard, args: argsAfter(0) }], trace);
      return { reply: replies[0] ?? [], followUp: followUps[0] ?? nothingOwed(shard, trace) };
    }
    const group = this.#slotGroupOf(shard);
    let gathering = this.#gatherings.get(group);
    if (!gathering) {
      gathering = new Gathering(this.#scripts, this.#script);
      this.#gatherings.set(group, gathering);
    }
    return gathering.add(shard, trace, argsAfter);
  }

  /** Sends now what waits for the node of a shard: what is asked of Redis by other scripts from now on comes after it. */
  send(shard: number): void {
    this.#gatherings.get(this.#slotGroupOf(shard))?.send();
  }
}

class Gathering {
  readonly #scripts: PresenceScripts;
  readonly #script: ScriptName;
  #waiting: Waiting[] = [];
  #sentAt = Number.NEGATIVE_INFINITY;
  #everyMs = EVERY_MS;
  #isDue = false;

  constructor(scripts: PresenceScripts, script: ScriptName) {
    this.#scripts = scripts;
    this.#script = script;
  }

  add(shard: number, trace: TraceContext, argsAfter: Waiting['argsAfter']): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ shard, trace, argsAfter, at: this.#scripts.now(shard), resolve, reject });
      if (this.#isDue) return;
      this.#isDue = true;
      const waitMs = this.#sentAt + this.#everyMs - performance.now();
      if (waitMs > 0) setTimeout(() => this.send(), waitMs);
      else setImmediate(() => this.send());
    });
  }

  /** Sends what waits, if anything does. */
  send(): void {
    const now = performance.now();
    const all = this.#waiting;
    if (all.length === 0) return;
    this.#everyMs = all.length > 1 ? gatherMs(all.length, now - this.#sentAt, BUSY_EVERY_MS) : EVERY_MS;
    this.#isDue = false;
    this.#sentAt = now;
    this.#waiting = [];
    for (let n = 0; n < all.length; n += MOST_AT_ONCE) void this.#sendSome(all.slice(n, n + MOST_AT_ONCE));
  }

  /** Where one of them is at fault the others must not suffer for it: each is asked for again by itself. */
  async #sendSome(some: readonly Waiting[]): Promise<void> {
    const asked = some.map(({ shard, argsAfter, at }): Asked => {
      const now = this.#scripts.now(shard);
      return { shard, args: argsAfter(at > 0 && now > at ? now - at : 0) };
    });
    try {
      const { replies, followUps } = await this.#scripts.runMany(this.#script, asked);
      const owed = new Map(followUps.map((followUp) => [followUp.shard, followUp]));
      for (const [n, { shard, trace, resolve }] of some.entries()) {
        // What a shard owes is told with the first of its users.
        const followUp = { ...nothingOwed(shard, trace), ...owed.get(shard) };
        owed.delete(shard);
        resolve({ reply: replies[n] ?? [], followUp });
      }
    } catch (error) {
      if (some.length === 1 || isRedisAway(error)) for (const { reject } of some) reject(error);
      else for (const one of some) void this.#sendSome([one]);
    }
  }
}

function nothingOwed(shard: number, trace: TraceContext): FollowUp {
  return { shard, wakeDeliver: false, wakeRecord: false, arms: [], ...(trace === '' ? {} : { trace }) };
}
