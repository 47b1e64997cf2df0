import { privaciesOf } from '../src/postgres/privacy.ts';
import {
  dropChanges,
  markTold,
  type NotedChange,
  toldChanges,
  untoldChanges,
} from '../src/postgres/privacy-changes.ts';
import type { FollowUp } from '../src/presence/follow-up.ts';
import type { Stores } from '../src/stores.ts';
import { tellPrivacy } from '../src/usecases/privacy.ts';

/** So long a web has to tell Redis of a change itself. */
export const LEFT_TO_THE_WEB_MS = 1000;
/** By then a replica of Redis that took over without the change has done so, and is told once more. */
export const TOLD_ONCE_MORE_AFTER_MS = 30_000;
const AT_ONCE = 500;
const SIDE_BY_SIDE = 50;

/**
 * Tells Redis of changes of privacy that are in PostgreSQL and that no web has told: it died in between, or Redis was
 * away.
 */
export class PrivacyKeeper {
  readonly #stores: Stores;

  constructor(stores: Stores) {
    this.#stores = stores;
  }

  /** One bounded pass: what waits is told, and what was told a while ago is told once more and dropped. */
  async pass(): Promise<{ told: number; confirmed: number }> {
    const { db } = this.#stores;
    const untold = await untoldChanges(db, LEFT_TO_THE_WEB_MS, AT_ONCE);
    const before = await toldChanges(db, TOLD_ONCE_MORE_AFTER_MS, AT_ONCE);
    const first = await this.#tell(untold, (change) => change.step);
    await markTold(db, first.told);
    const again = await this.#tell(before, () => null);
    await dropChanges(db, again.told);
    for (const { failure } of [first, again]) if (failure !== null) throw failure;
    return { told: first.told.length, confirmed: again.told.length };
  }

  /** One that cannot be told keeps none of the others waiting. */
  async #tell(changes: NotedChange[], stepOf: (change: NotedChange) => NotedChange['step']) {
    const told: NotedChange[] = [];
    const privacies = await privaciesOf(
      this.#stores.db,
      changes.map((change) => change.userId),
    );
    const failures = await tellAll(this.#stores, changes, async (change) => {
      const privacy = privacies.get(change.userId);
      // Of a row that has changed since, what was noted is not the whole difference.
      const step = privacy?.revision === change.revision ? stepOf(change) : null;
      const followUp = await tellPrivacy(this.#stores, change.userId, privacy ? { privacy, step } : null);
      told.push(change);
      return followUp;
    });
    return { told, failure: failures.values().next().value ?? null };
  }
}

/** Tells of some at a time; returns of which of them something went wrong, and what. */
export async function tellAll<T>(
  stores: Stores,
  all: T[],
  tell: (one: T) => Promise<FollowUp>,
): Promise<Map<T, unknown>> {
  const failures = new Map<T, unknown>();
  for (let from = 0; from < all.length; from += SIDE_BY_SIDE) {
    const some = all.slice(from, from + SIDE_BY_SIDE);
    const followUps: FollowUp[] = [];
    const tellOne = async (one: T) => {
      try {
        followUps.push(await tell(one));
      } catch (error) {
        failures.set(one, error);
      }
    };
    await Promise.all(some.map(tellOne));
    await stores.queues.enqueue(...followUps);
  }
  return failures;
}
