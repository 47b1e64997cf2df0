import { privaciesOf, restrictedUsers } from '../src/postgres/privacy.ts';
import {
  dropChanges,
  markTold,
  type NotedChange,
  toldChanges,
  untoldChanges,
} from '../src/postgres/privacy-changes.ts';
import type { FollowUp } from '../src/presence/follow-up.ts';
import type { Privacy } from '../src/presence/visibility.ts';
import type { Standing } from '../src/redis/privacy-cache.ts';
import type { Services } from '../src/services.ts';
import { tellPrivacy } from '../src/usecases/privacy.ts';
import { eraseAgain } from './erasure.ts';

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

  /** One bounded pass: what waits is told, and what was told a while ago is told once more and dropped. */
  async pass(): Promise<{ told: number; confirmed: number }> {
    const { db } = this.#services;
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
      this.#services.db,
      changes.map((change) => change.userId),
    );
    const failures = await tellAll(this.#services, changes, async (change) => {
      const privacy = privacies.get(change.userId);
      // Of a row that has changed since, what was noted is not the whole difference.
      const step = privacy?.revision === change.revision ? stepOf(change) : null;
      const followUp = await tellPrivacy(this.#services, change.userId, privacy ? { privacy, step } : null);
      told.push(change);
      return followUp;
    });
    return { told, failure: failures[0] ?? null };
  }
}

/**
 * Compares what Redis goes by with PostgreSQL: for everybody who ever restricted anything, and for everybody whom Redis takes for
 * somebody who did. What a Redis that came back has lost, or has of older, is told anew. Bounded passes of a page each.
 */
export async function comparePrivacy(services: Services): Promise<{ compared: number; mended: number }> {
  const { db, privacy } = services;
  let compared = 0;
  let mended = 0;
  const mend = async (users: { userId: string; privacy: Privacy }[]) => {
    const standings = await privacy.standings(users.map(({ userId }) => userId));
    await tell(
      users.filter((user, n) => !agrees(user.privacy, standings[n])),
      users.length,
    );
  };
  const tell = async (differing: { userId: string }[], of: number) => {
    const failures = await tellAll(services, differing, ({ userId }) => tellPrivacy(services, userId, null));
    if (failures.length > 0) throw failures[0];
    compared += of;
    mended += differing.length;
  };
  for (let page = await restrictedUsers(db, '', AT_ONCE); page.length > 0; ) {
    await privacy.noteRestricted(page.flatMap((user) => (user.privacy.open ? [] : user.userId)));
    await mend(page);
    page = await restrictedUsers(db, page.at(-1)?.userId ?? '', AT_ONCE);
  }
  await privacy.noteAllRestricted();
  for await (const userIds of privacy.restricted()) {
    const privacies = await privaciesOf(db, userIds);
    // Noted as restricted they are not to be, whatever else Redis has of them: they may have been erased meanwhile.
    const open = [...privacies].flatMap(([userId, one]) => (one.open ? [{ userId }] : []));
    await tell(open, userIds.length);
  }
  return { compared, mended };
}

/** Compares once a worker has started, and after every return of Redis, which may have come back with less or older. */
export class PrivacyComparer {
  readonly #services: Services;
  #due = true;

  constructor(services: Services) {
    this.#services = services;
    services.pulse.onBack(() => {
      this.#due = true;
    });
  }

  /** Compares where that is due; where a store is away it stays due. */
  async pass(): Promise<void> {
    if (!this.#due) return;
    this.#due = false;
    try {
      await comparePrivacy(this.#services);
      await eraseAgain(this.#services);
    } catch (error) {
      this.#due = true;
      throw error;
    }
  }
}

/** Whether Redis goes by what PostgreSQL says, or knows that it does not know. */
function agrees({ revision, open }: Privacy, standing: Standing | undefined): boolean {
  if (standing === undefined) return false;
  if (open)
    return (
      (standing.mark === '0' || standing.mark === '') && (standing.revision === 0 || standing.revision === revision)
    );
  return standing.revision === revision && (standing.mark === '' || standing.mark === String(revision));
}

/** Some at a time; returns what went wrong with one or the other. */
async function tellAll<T>(services: Services, all: T[], tell: (one: T) => Promise<FollowUp>): Promise<unknown[]> {
  const failures: unknown[] = [];
  for (let from = 0; from < all.length; from += SIDE_BY_SIDE) {
    const attempts = await Promise.allSettled(all.slice(from, from + SIDE_BY_SIDE).map(tell));
    const followUps = attempts.flatMap((attempt) => (attempt.status === 'fulfilled' ? [attempt.value] : []));
    for (const attempt of attempts) if (attempt.status === 'rejected') failures.push(attempt.reason);
    await services.queues.follow(...followUps);
  }
  return failures;
}
