import type { Logger } from '../log.ts';
import { type Absence, absenceOf } from './absence.ts';
import type { RedisClient } from './connect.ts';
import { type Finding, inspectRedis } from './inspection.ts';
import type { Pulse } from './pulse.ts';

/** Every connection meets a node or a Sentinel that is away, again and again; one line a minute says enough. */
const QUIET_ABOUT_NODE_MS = 60_000;
/** What was refused only just may be refused again at once. */
const REFUSED_LATELY_MS = 3000;
/** A command that is refused is the first to know: the pulse finds out whether all are, but not for each of a thousand. */
const ASK_EVERY_MS = 100;

/** Hears of everything that Redis refuses or fails with on any connection of this process, and says in the log what it means. */
export class RedisWatch {
  readonly #log: Logger;
  readonly #refused = new Map<string, number>();
  readonly #quietAbout = new Map<string, number>();
  #found: ReadonlyMap<string, Finding> = new Map();
  readonly #inspection = Promise.withResolvers<void>();
  #pulse: Pulse | null = null;
  #away = false;
  /** What the connections fail with, while none of them can be made. */
  #why: Absence | null = null;
  #refusedAt = Number.NEGATIVE_INFINITY;
  #askedAt = Number.NEGATIVE_INFINITY;
  #queues: { absence: Absence; at: number } | null = null;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** How often Redis refused a command of this process, by kind. */
  get refusals(): ReadonlyMap<string, number> {
    return this.#refused;
  }

  /** Why Redis cannot serve, null where it does. */
  get absence(): Absence | null {
    const absence = this.#pulse?.absence ?? null;
    // A connection that is never made leaves the pulse without a reason.
    return absence && !absence.refuses && this.#why ? this.#why : absence;
  }

  /** Why Redis cannot serve the queues, whose commands are others; null where it does. */
  get queueAbsence(): Absence | null {
    if (this.absence) return this.absence;
    const { absence = null, at = 0 } = this.#queues ?? {};
    return performance.now() - at < REFUSED_LATELY_MS ? absence : null;
  }

  /** Begins to hear of a pulse. `redis` is its connection; what it leads to is looked at whenever it is there anew. */
  observePulse(pulse: Pulse, redis: RedisClient): void {
    this.#pulse = pulse;
    pulse.onBack(() => {
      this.#why = null;
      if (this.#away) this.#log.info('Redis is back');
      this.#away = false;
    });
    redis.on('ready', () => void this.#inspect(redis));
  }

  /**
   * Resolves once it is known what Redis is, or after so long (ms) where it does not say. Rejects with a sentence for operators
   * where nothing can work with it.
   */
  async inspected(patienceMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, patienceMs);
    });
    await Promise.race([this.#inspection.promise, late]);
    clearTimeout(timer);
    const refused = [...this.#found.values()].filter(({ weight }) => weight === 'refuse');
    if (refused.length > 0) throw new Error(refused.map(({ text }) => text).join('; '));
  }

  /** Each finding is told once, and again where it was over meanwhile. */
  async #inspect(redis: RedisClient): Promise<void> {
    const findings = await inspectRedis(redis).catch(() => null);
    // Gone again: there will be another time.
    if (findings === null) return;
    const before = this.#found;
    this.#found = new Map(findings.map((finding) => [finding.kind, finding]));
    for (const { kind, weight, text } of findings) {
      if (before.get(kind)?.text === text) continue;
      if (weight === 'info') this.#log.info(text);
      else this.#log[weight === 'refuse' ? 'error' : 'warn']({ finding: kind }, text);
    }
    this.#inspection.resolve();
  }

  /** Begins to hear of what a connection fails with. */
  observeClient(client: RedisClient): void {
    client.on('error', (error: Error) => {
      // A server that has too many clients says so and then cuts the line, which is all that the last error tells.
      if (!this.#why?.refuses || performance.now() - this.#refusedAt > REFUSED_LATELY_MS) this.#why = absenceOf(error);
      if (!this.#away) {
        const advice = this.#why?.reason;
        this.#log.warn({ reason: error.message, advice }, 'Redis is not answering; trying again until it is back');
      }
      this.#away = true;
    });
    client.on('node error', (error: Error, node: string) => {
      if (this.#isNews(node))
        this.#log.warn({ reason: error.message, node }, 'A node of the Redis Cluster is not answering');
    });
    // Its reason names the Sentinel.
    client.on('sentinelError', ({ message: reason }: Error) => {
      if (this.#isNews(reason)) this.#log.warn({ reason }, 'A Sentinel does not say where Redis is; the next is asked');
    });
  }

  #isNews(of: string): boolean {
    const now = performance.now();
    if (now < (this.#quietAbout.get(of) ?? 0)) return false;
    this.#quietAbout.set(of, now + QUIET_ABOUT_NODE_MS);
    return true;
  }

  /** Notes that Redis refused a command. */
  refused(absence: Absence): void {
    const { kind, reason } = absence;
    this.#refused.set(kind, (this.#refused.get(kind) ?? 0) + 1);
    this.#log.warn({ kind, reason }, 'Redis answers and refuses; what needs it waits until it does not');
    this.#away = true;
    const now = performance.now();
    this.#why = absence;
    this.#refusedAt = now;
    if (now - this.#askedAt < ASK_EVERY_MS) return;
    this.#askedAt = now;
    void this.#pulse?.beat();
  }

  /** Notes that Redis refused a command of a queue. */
  refusedQueue(absence: Absence): void {
    this.#queues = { absence, at: performance.now() };
    this.refused(absence);
  }
}
