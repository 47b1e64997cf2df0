import { RollcallError } from '../errors.ts';
import type { Claims } from '../presence/change.ts';
import { NO_CONNECTION } from '../presence/session.ts';
import type { LeaseAnswer, LeaseBody, LeaseName, RenewAnswer } from '../protocol/leases.ts';
import { shardOf } from '../redis/keys.ts';
import type { Stores } from '../stores.ts';
import { iso } from './payloads.ts';
import type { Presence } from './presence.ts';
import { namedRooms } from './room-payloads.ts';
import type { Rooms } from './rooms.ts';
import { leaseSession } from './session-ids.ts';
import { orUnavailable } from './unavailable.ts';

/** What the doors do with leases. Whether the caller may has been settled by then; see rights.ts. */
export interface LeasesApi {
  /** Opens or renews a lease. `claims`: as for `setStatus`. Throws TOO_MANY_SESSIONS, TOO_MANY_ROOMS or UNAVAILABLE. */
  put(userId: string, name: string, wish: LeaseBody, claims: Claims | null): Promise<LeaseAnswer>;
  /** The rooms that a lease is in; none where it is not there. Throws UNAVAILABLE. */
  roomsOf(userId: string, name: string): Promise<string[]>;
  /** Renews leases that are there, and says which are not. Throws UNAVAILABLE. */
  renew(leases: readonly LeaseName[]): Promise<RenewAnswer>;
  /** Ends a lease, if it is there. Throws UNAVAILABLE. */
  remove(userId: string, name: string): Promise<void>;
}

/** Presence without a socket: sessions with a TTL of their own, which somebody renews over HTTP. */
export class Leases implements LeasesApi {
  readonly #stores: Pick<Stores, 'store' | 'leases'>;
  readonly #presence: Pick<Presence, 'open' | 'followUps'>;
  readonly #rooms: Pick<Rooms, 'tellAgain' | 'whereAre'>;
  readonly #maxSessions: number;
  readonly #maxRooms: number;

  constructor(
    stores: Pick<Stores, 'store' | 'leases'>,
    presence: Pick<Presence, 'open' | 'followUps'>,
    rooms: Pick<Rooms, 'tellAgain' | 'whereAre'>,
    { maxSessionsPerUser, maxRoomsPerSession }: { maxSessionsPerUser: number; maxRoomsPerSession: number },
  ) {
    this.#stores = stores;
    this.#presence = presence;
    this.#rooms = rooms;
    this.#maxSessions = maxSessionsPerUser;
    this.#maxRooms = maxRoomsPerSession;
  }

  async put(userId: string, name: string, wish: LeaseBody, claims: Claims | null): Promise<LeaseAnswer> {
    const sessionId = leaseSession(userId, name);
    if (new Set(wish.rooms?.map(({ roomId }) => roomId)).size > this.#maxRooms)
      throw new RollcallError('TOO_MANY_ROOMS');
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
      rooms: wish.rooms && namedRooms(wish.rooms),
    });
    if (code === 'crowded') throw new RollcallError('TOO_MANY_ROOMS');
    if (code === 'full') {
      const message = `This user already has ${this.#maxSessions} sessions and leases; end one of them first.`;
      throw new RollcallError('TOO_MANY_SESSIONS', { message });
    }
    if (wish.rooms) await this.#rooms.tellAgain(userId);
    return { sessionId, expiresAt: iso(endsAt) };
  }

  async roomsOf(userId: string, name: string): Promise<string[]> {
    const sessionId = leaseSession(userId, name);
    const rooms = (await this.#rooms.whereAre(shardOf(userId), [userId])).get(userId) ?? [];
    return rooms.flatMap(({ roomId, sessions }) =>
      sessions.some((one) => one.sessionId === sessionId) ? [roomId] : [],
    );
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
