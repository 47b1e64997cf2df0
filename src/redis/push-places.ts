import { createHash, randomUUID } from 'node:crypto';
import type { RedisClient } from './connect.ts';
import type { Keys } from './keys.ts';
import { runScript } from './scripts.ts';

/** Tries in flight for one user, and to one host unless it is known to answer promptly. */
export const PUSHES_IN_FLIGHT = 2;
/** A host that was silent is left alone for so long; the user to whom it was silent, for twice as long. */
export const SILENT_HOST_PAUSE_MS = 120_000;
/** An answer after so long is not prompt. */
export const PROMPT_MS = 1000;
/** Longer than a try takes with all that it reads before. The place of a worker that died is free again after that. */
const PLACE_KEPT_MS = 30_000;
/** How long a host that answered is known for it. */
const ANSWER_KEPT_MS = 3_600_000;

/** A try that may go: for whom, and to which host. */
export interface PushPlace {
  readonly id: string;
  readonly host: string;
  readonly userId: string;
}

/** `pausedMs` null: too many are in flight. */
export type PushTurn = { place: PushPlace } | { place: null; pausedMs: number | null };

/** What a try says of the host. `silent`: no answer for a while; `unknown`: nothing, as where nothing was sent at all. */
export type HostBehaviour = 'answered' | 'silent' | 'unknown';

/**
 * Says who may send a Web Push now, over all workers: how many tries are in flight for a user and to a host, and which
 * hosts do not answer. A user whose endpoints never answer, each on a host of its own or all on one that serves others
 * too, so holds up nobody else. Rejects where Redis is away.
 */
export class PushPlaces {
  readonly #redis: RedisClient;
  readonly #keys: Pick<Keys, 'pushHost' | 'pushFlights'>;
  readonly #pauseMs: number;
  readonly #keptMs: number;

  constructor(
    redis: RedisClient,
    keys: Pick<Keys, 'pushHost' | 'pushFlights'>,
    { pauseMs = SILENT_HOST_PAUSE_MS, keptMs = PLACE_KEPT_MS } = {},
  ) {
    this.#redis = redis;
    this.#keys = keys;
    this.#pauseMs = pauseMs;
    this.#keptMs = keptMs;
  }

  /**
   * Takes a place for one try to a host for a user, to be given back. Without one: how long (ms) the host is left
   * alone, null where too many tries are in flight.
   */
  async take(host: string, userId: string): Promise<PushTurn> {
    const place: PushPlace = { id: randomUUID(), host, userId };
    const args = [place.id, digest(userId), PUSHES_IN_FLIGHT, this.#keptMs, this.#pauseMs];
    const [granted, waitMs] = await runScript(this.#redis, 'take-push-place', this.#keysOf(place), args);
    if (granted === 1) return { place };
    return { place: null, pausedMs: Number(waitMs) || null };
  }

  /**
   * Gives a place back. `tookMs`: from the try's beginning to its answer or end. Returns whether the host is left alone
   * from now on because of it.
   */
  async giveBack(place: PushPlace, behaviour: HostBehaviour, tookMs: number): Promise<boolean> {
    const said = behaviour !== 'answered' ? behaviour : tookMs <= PROMPT_MS ? 'prompt' : 'slow';
    const args = [place.id, digest(place.userId), said, Math.ceil(tookMs), this.#pauseMs, ANSWER_KEPT_MS];
    const [paused] = await runScript(this.#redis, 'return-push-place', this.#keysOf(place), args);
    return paused === 1;
  }

  #keysOf({ host, userId }: PushPlace): string[] {
    const { pushHost, pushFlights } = this.#keys;
    return [pushHost(digest(host)), pushFlights('host', digest(host)), pushFlights('user', digest(userId))];
  }
}

/** Hosts and ids come in any length, and neither has to lie about in Redis. */
const digest = (name: string) => createHash('sha256').update(name).digest('base64url').slice(0, 22);
