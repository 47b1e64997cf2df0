import type { StoredUser } from '../presence/change.ts';
import { isDnd } from '../presence/detail.ts';
import { ATTENDED_WITHIN_SECONDS, type Reached, type ReachRequest } from '../protocol/reach.ts';
import type { Reachable } from '../redis/reach.ts';
import type { Stores } from '../stores.ts';
import { isoOrNull } from './payloads.ts';
import type { ReachApi } from './presence-api.ts';
import type { StoredUsers } from './stored-users.ts';
import { orUnavailable, postgresUnavailable, unavailable } from './unavailable.ts';

/** Says whether to ring: in one pass through Redis, and one question of PostgreSQL for those of whom Redis does not know. */
export class ReachDecisions implements ReachApi {
  readonly #reach: Stores['reach'];
  readonly #roomLists: Stores['roomLists'];
  readonly #storedUsers: StoredUsers;

  constructor({ reach, roomLists }: Pick<Stores, 'reach' | 'roomLists'>, storedUsers: StoredUsers) {
    this.#reach = reach;
    this.#roomLists = roomLists;
    this.#storedUsers = storedUsers;
  }

  async reach({
    userIds,
    urgent = false,
    withinSeconds = ATTENDED_WITHIN_SECONDS,
    roomId,
  }: ReachRequest): Promise<Reached[]> {
    const asked = [...new Set(userIds)];
    const found = await orUnavailable(() => this.#reach.look(asked, withinSeconds * 1000, roomId));
    // Redis has lost who is in rooms, and not everybody had the time to come back.
    if (roomId !== undefined && (await orUnavailable(() => this.#roomLists.counts([roomId]))).unsettled) {
      throw unavailable();
    }
    const open = found.filter(({ state }) => state === 'open').map(({ userId }) => userId);
    const storedUsers = await this.#storedUsers.load(open);
    if (storedUsers === null) throw postgresUnavailable();
    const decided = found.map((user) => decide(user, storedUsers.get(user.userId), urgent, roomId !== undefined));
    const byId = new Map(decided.map((user) => [user.userId, user]));
    return userIds.flatMap((userId) => byId.get(userId) ?? []);
  }
}

/** The first that fits. */
function decide(user: Reachable, stored: StoredUser | undefined, urgent: boolean, inRoom: boolean): Reached {
  const { userId, state, recorded, attended } = user;
  // Redis has lost somebody who was active, and who may be back any moment.
  if (!recorded && stored?.status === 'active') throw unavailable();
  const times = [user.lastSeen, stored?.lastSeen ?? null].filter((at) => at !== null);
  const lastActive = isoOrNull(times.length > 0 ? Math.max(...times) : null);
  if (state === 'open' && !recorded && !stored && lastActive === null) {
    return { userId, decision: 'push', reason: 'unknown', lastActive };
  }
  const dnd = state === 'known' ? user.dnd : isDnd(stored?.sources ?? []);
  if (dnd && !urgent) return { userId, decision: 'hold', reason: 'dnd', lastActive };
  return attended
    ? { userId, decision: 'in_app', reason: inRoom ? 'in_room' : 'attended', lastActive }
    : { userId, decision: 'push', reason: 'unattended', lastActive };
}
