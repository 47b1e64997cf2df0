import { RollcallError } from '../errors.ts';
import type { Claims } from '../presence/change.ts';
import { NO_CONNECTION } from '../presence/session.ts';
import type { LeaseAnswer, LeaseBody, LeaseName, RenewAnswer } from '../protocol/leases.ts';
import type { Stores } from '../stores.ts';
import { iso } from './payloads.ts';
import type { Presence } from './presence.ts';
import { leaseSession } from './session-ids.ts';
import { orUnavailable } from './unavailable.ts';

/** What the doors do with leases. Whether the caller may has been settled by then; see rights.ts. */
export interface LeasesApi {
  /** Opens or renews a lease. `claims`: as for `setStatus`. Throws TOO_MANY_SESSIONS or UNAVAILABLE. */
  put(userId: string, name: string, wish: LeaseBody, claims: Claims | null): Promise<LeaseAnswer>;
  /** Renews leases that are there, and says which are not. Throws UNAVAILABLE. */
  renew(leases: readonly LeaseName[]): Promise<RenewAnswer>;
  /** Ends a lease, if it is there. Throws UNAVAILABLE. */
  remove(userId: string, name: string): Promise<void>;
}

/** Presence without a socket: sessions with a TTL of their own, which somebody renews over HTTP. */
export class Leases implements LeasesApi {
  readonly #stores: Pick<Stores, 'store' | 'leases'>;
  readonly #presence: Pick<Presence, 'open' | 'followUps'>;
  readonly #maxSessions: number;

  constructor(
    stores: Pick<Stores, 'store' | 'leases'>,
    presence: Pick<Presence, 'open' | 'followUps'>,
    { maxSessionsPerUser }: { maxSessionsPerUser: number },
  ) {
    this.#stores = stores;
    this.#presence = presence;
    this.#maxSessions = maxSessionsPerUser;
  }

  async put(userId: string, name: string, wish: LeaseBody, claims: Claims | null): Promise<LeaseAnswer> {
    const sessionId = leaseSession(userId, name);
    const { code, endsAt } = await this.#presence.open({
      userId,
      sessionId,
      conn: NO_CONNECTION,
      kind: wish.kind ?? null,
      state: wish.state ?? null,
      ttlMs: Math.round(wish.ttlSeconds * 1000),
      name,
      beatAgeMs: 0,
      connectedAgeMs: 0,
      maxSessions: this.#maxSessions,
      mode: 'lease',
      claims,
    });
    if (code === 'full') {
      const message = `This user already has ${this.#maxSessions} sessions and leases; end one of them first.`;
      throw new RollcallError('TOO_MANY_SESSIONS', { message });
    }
    return { sessionId, expiresAt: iso(endsAt) };
  }

  async renew(leases: readonly LeaseName[]): Promise<RenewAnswer> {
    const named = leases.map(({ userId, name }) => ({ userId, sessionId: leaseSession(userId, name) }));
    const { renewed, followUps } = await orUnavailable(() => this.#stores.leases.renew(named));
    for (const followUp of followUps) this.#presence.followUps.add(followUp);
    const missing = leases.filter((_, n) => !renewed[n]);
    return { renewed: leases.length - missing.length, missing };
  }

  async remove(userId: string, name: string): Promise<void> {
    const lease = { userId, sessionId: leaseSession(userId, name), conn: NO_CONNECTION };
    const { followUp } = await orUnavailable(() => this.#stores.store.close(lease, 0, 0));
    this.#presence.followUps.add(followUp);
  }
}
