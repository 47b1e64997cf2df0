import { RollcallError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { clearHidden, saveHidden } from '../postgres/users.ts';
import type { Claims, StoredUser } from '../presence/change.ts';
import type { StatusPayload } from '../protocol/vocabulary.ts';
import { FollowUps } from '../queues/follow-ups.ts';
import type { Chosen, OpenRequest } from '../redis/presence-types.ts';
import { timeOf } from '../redis/time.ts';
import type { Stores } from '../stores.ts';
import { AuditLog } from './audit.ts';
import { Details } from './details.ts';
import { Logouts } from './logouts.ts';
import { type Opening, Opens } from './opens.ts';
import { isoOrNull } from './payloads.ts';
import type { Choice, PresenceApi } from './presence-api.ts';
import { ReachDecisions } from './reach.ts';
import { StatusReads } from './status-reads.ts';
import { StoredUsers } from './stored-users.ts';
import { orUnavailable, postgresUnavailable, unavailable } from './unavailable.ts';

/** The one way of the doors to the stores: `reads` says how people are looked at, all else is what they do. */
export class Presence implements PresenceApi {
  readonly reads: StatusReads;
  readonly details: Details;
  readonly decisions: ReachDecisions;
  readonly followUps: FollowUps;
  readonly #stores: Stores;
  readonly #storedUsers: StoredUsers;
  readonly #logouts: Logouts;
  readonly #audit: AuditLog;
  readonly #opens: Opens;

  /** `ttlMs`: how long a session lives without another heartbeat. */
  constructor(stores: Stores, ttlMs: number, log: Logger) {
    this.#stores = stores;
    this.#storedUsers = new StoredUsers(stores);
    this.followUps = new FollowUps(stores.queues, log);
    this.reads = new StatusReads(stores, this.#storedUsers, this.followUps, ttlMs, log);
    this.decisions = new ReachDecisions(stores, this.#storedUsers);
    this.details = new Details(stores, this.#storedUsers, this.followUps);
    this.#logouts = new Logouts(stores, this.followUps, log);
    this.#audit = new AuditLog(stores);
    this.#opens = new Opens(stores, this.#storedUsers, this.followUps);
  }

  /** Opens (or restores) a session, or puts a lease; the code says whether it is open, or why not. Throws UNAVAILABLE. */
  open(request: OpenRequest): Promise<Opening> {
    return this.#opens.open(request);
  }

  async setStatus(userId: string, choice: Choice, claims: Claims | null): Promise<StatusPayload> {
    const { store, db } = this.#stores;
    const setAt = await this.#redisNow(userId);
    return orUnavailable(async () => {
      // In PostgreSQL first: what a user chose outlives Redis.
      const { expiresInMs } = choice;
      const { wasTold } = choice.status === 'inactive' ? await saveHidden(db, userId, { expiresInMs, setAt }) : {};
      const ask = async (cleared: boolean, stored: StoredUser | 'new' | null): Promise<Chosen> => {
        const chosen = await store.setStatus(userId, choice.status, { expiresInMs, cleared, claims }, stored);
        this.followUps.add(chosen.followUp);
        return chosen;
      };
      let chosen = await ask(false, null);
      if (chosen.code === 'stored') {
        const stored = await this.#storedUsers.stored(userId);
        if (stored === 'away') throw postgresUnavailable();
        // To the script it is a choice that is made just now, so that others hear of it who may not have yet.
        chosen = await ask(false, wasTold === false && stored !== 'new' ? { ...stored, hidden: null } : stored);
      }
      if (chosen.code === 'clear') {
        await clearHidden(db, userId, setAt);
        chosen = await ask(true, null);
      }
      // The record vanished between two steps: the caller asks again.
      if (chosen.code !== 'ok') throw unavailable();
      return { userId, status: chosen.status, lastSeen: isoOrNull(chosen.lastSeen) };
    });
  }

  async logOut(userId: string, sessionId: string | null, by: string | null): Promise<void> {
    if (sessionId === null) await this.reads.requireKnown(userId);
    const found = await this.#signOut(userId, sessionId, '');
    if (!found && sessionId !== null) throw new RollcallError('SESSION_NOT_FOUND');
    if (by === null) return;
    await this.#audit.note({ actor: by, act: 'session_removed', subject: userId, detail: { sessionId } });
  }

  /**
   * Signs one session out; with `conn`, only where that connection holds it. Returns false where there is no such
   * session. Throws UNAVAILABLE.
   */
  async endSession(userId: string, sessionId: string, conn = ''): Promise<boolean> {
    return this.#signOut(userId, sessionId, conn);
  }

  #signOut(userId: string, sessionId: string | null, conn: string): Promise<boolean> {
    return orUnavailable(async () => {
      const { found, conns, followUp } = await this.#stores.store.logOut(userId, sessionId, conn);
      this.followUps.add(followUp);
      if (found) this.#logouts.note({ userId, sessionId, conns });
      return found;
    });
  }

  /** By the clock that judges this user. */
  async #redisNow(userId: string): Promise<number> {
    const { redis, keys } = this.#stores;
    return orUnavailable(() => timeOf(redis, keys.record(userId)));
  }
}
