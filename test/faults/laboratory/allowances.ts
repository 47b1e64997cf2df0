import type { Scene } from './checks.ts';
import type { Member } from './member.ts';
import { Disturbances, type Span } from './spans.ts';
import { HANDOVER_MS, TTL_MS, WITHIN_MS } from './world.ts';

/** What a scheduler of timers and sockets takes on an idle machine. */
const BASE_MS = 150;
/** Settling the losses of a Redis that was emptied or failed over: TTL, handover, 5 s of margin, a round of 10 s, and the promise on top. */
export const SETTLED_MS = TTL_MS + HANDOVER_MS + 15_000 + WITHIN_MS;

/** What stood between something that was due and those who are told of it at one web. */
export class Allowances {
  readonly #scene: Scene;
  readonly #obstacles: Span[];
  readonly #losses: Span[];
  readonly #beforeMs: number;

  /** `beforeMs`: what was due within so long after a loss may have been lost, too. `furtherStores`: what else has to be up. */
  constructor(scene: Scene, web: Member, beforeMs: number, furtherStores: readonly string[] = []) {
    const { disturbances, withoutWorker, redis } = scene.world;
    this.#scene = scene;
    this.#beforeMs = beforeMs;
    const stores = ['redis', ...furtherStores].flatMap((store) => disturbances.of(store));
    this.#obstacles = [...stores, ...withoutWorker, ...disturbances.of(web.name)];
    this.#losses = redis.losses.map(({ from, to }) => ({ from, to: to + SETTLED_MS }));
  }

  /** When the promised time begins to run for what was due then. */
  startOf(due: number): number {
    const losses = this.#losses.filter((loss) => loss.from - this.#beforeMs <= due && loss.to >= due);
    return Disturbances.pushed(due, WITHIN_MS, [...this.#obstacles, ...losses]) - WITHIN_MS;
  }

  /** Whether what should have been told once `start` had come was not by then. What the machine took in between does not count. */
  isLate(start: number, at: number): boolean {
    return at - start - this.#scene.world.machine.taken(start, at) > WITHIN_MS + BASE_MS;
  }
}
