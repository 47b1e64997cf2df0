import {
  dropChanges,
  markTold,
  type PrivacyChange,
  toldChanges,
  untoldChanges,
} from '../src/postgres/privacy-changes.ts';
import { loadPrivacy } from '../src/postgres/social.ts';
import type { FollowUp } from '../src/presence/follow-up.ts';
import type { Privacy } from '../src/presence/visibility.ts';
import { applyPrivacy, type Services } from '../src/services.ts';

/** So long a web has to tell Redis of a change itself. */
const LEFT_TO_THE_WEB_MS = 1000;
/** By then a replica of Redis that took over without the change has done so, and is told once more. */
const TOLD_ONCE_MORE_AFTER_MS = 30_000;
const AT_ONCE = 500;
const SIDE_BY_SIDE = 50;

/**
 * Tells Redis of changes of privacy that are in PostgreSQL and that no web has told: it died in between, or Redis was
 * away.
 */
export class PrivacyKeeper {
  readonly #services: Services;

  constructor(services: Services) {
    this.#services = services;
  }

  /** One bounded pass: what waits is told, and what was told a while ago is told once more and forgotten. */
  async pass(): Promise<{ told: number; confirmed: number }> {
    const { db } = this.#services;
    const untold = await untoldChanges(db, LEFT_TO_THE_WEB_MS, AT_ONCE);
    const before = await toldChanges(db, TOLD_ONCE_MORE_AFTER_MS, AT_ONCE);
    const privacies = await loadPrivacy(
      db,
      [...untold, ...before].map((change) => change.userId),
    );
    const first = await this.#tell(untold, privacies);
    await markTold(db, first.told);
    const again = await this.#tell(before, privacies);
    await dropChanges(db, again.told);
    for (const { failure } of [first, again]) if (failure !== null) throw failure;
    return { told: first.told.length, confirmed: again.told.length };
  }

  /** One that cannot be told keeps none of the others waiting. */
  async #tell(changes: PrivacyChange[], privacies: Map<string, Privacy>) {
    const told: PrivacyChange[] = [];
    const followUps: FollowUp[] = [];
    let failure: unknown = null;
    const tellOne = async (change: PrivacyChange) => {
      const privacy = privacies.get(change.userId);
      // Who has been erased has no privacy that anybody could be told of.
      if (privacy) followUps.push(await applyPrivacy(this.#services, change.userId, privacy));
      told.push(change);
    };
    for (let from = 0; from < changes.length; from += SIDE_BY_SIDE) {
      const attempts = await Promise.allSettled(changes.slice(from, from + SIDE_BY_SIDE).map(tellOne));
      for (const attempt of attempts) if (attempt.status === 'rejected') failure ??= attempt.reason;
    }
    await this.#services.queues.follow(...followUps);
    return { told, failure };
  }
}
