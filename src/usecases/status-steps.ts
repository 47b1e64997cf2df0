import type { Detail, StoredUser } from '../presence/change.ts';
import { strongest } from '../presence/detail.ts';
import { type Access, stricter } from '../presence/visibility.ts';
import type { WatchedUser } from '../protocol/socket.ts';
import type { FollowUps } from '../queues/follow-ups.ts';
import { shardOf } from '../redis/keys.ts';
import type { StatusReply } from '../redis/presence-types.ts';
import type { Stores } from '../stores.ts';
import { recalled, versioned, visibleTo } from './payloads.ts';
import type { StoredUsers } from './stored-users.ts';
import { orUnavailable } from './unavailable.ts';

/**
 * The three steps in which people are looked at: ask Redis, ask PostgreSQL for the rest, apply access. A viewer of null sees
 * everything.
 */

export interface FromRedis {
  replies: StatusReply[];
  /** By shard: the outbox entry up to which the replies are true. Empty where nobody asked for them. */
  positions: Map<number, string>;
  /** What is said of who appears inactive, where the viewer is told so all the same; only with positions. */
  hidden: Map<string, Detail>;
}

/** What PostgreSQL says of those whom Redis leaves open; null: it is away. */
export interface FromPostgres {
  storedUsers: Map<string, StoredUser> | null;
  /** What the viewer may see of those of whom it may not see all. */
  accesses: Map<string, Access> | null;
}

export interface Seen {
  /** As the viewer may know them. */
  users: WatchedUser[];
  /** Cannot be known while PostgreSQL is away. */
  pending: string[];
  /** Neither store has heard of them. */
  unknown: Set<string>;
  /** Not everybody sees the same of them. */
  restricted: Set<string>;
  /** Whom Redis does not know and PostgreSQL, asked a moment later, has as active: lost by the one, or come meanwhile. */
  unsure: Set<string>;
  /** Redis has lost who may see them, and is to be told again. */
  lost: string[];
  /** What is said of those of whom PostgreSQL alone knows and who appear inactive: for themselves and for services. */
  hiddenStored: Map<string, Detail>;
}

/** Asks Redis for the status of users, all shards side by side; `withPositions` costs more. Throws UNAVAILABLE. */
export async function askRedis(
  store: Pick<Stores['store'], 'readStatuses' | 'snapshot'>,
  followUps: FollowUps,
  userIds: readonly string[],
  viewerId: string | null,
  withPositions: boolean,
): Promise<FromRedis> {
  const [positions, hidden] = [new Map<number, string>(), new Map<string, Detail>()];
  const askShard = async (shard: number, ids: string[]): Promise<StatusReply[]> => {
    if (!withPositions) {
      const { users, followUp } = await store.readStatuses(shard, ids, viewerId);
      if (followUp) followUps.add(followUp);
      return users;
    }
    const { users, position, followUp, hidden: said } = await store.snapshot(shard, ids, viewerId);
    for (const [userId, detail] of said) hidden.set(userId, detail);
    followUps.add(followUp);
    positions.set(shard, position);
    return users;
  };
  const replies = await orUnavailable(() =>
    Promise.all([...Map.groupBy(userIds, shardOf)].map(([shard, ids]) => askShard(shard, ids))),
  );
  return { replies: replies.flat(), positions, hidden };
}

/** Asks PostgreSQL of the users whom these replies of Redis leave open, in no query where there are none. */
export async function askPostgres(
  postgres: Pick<StoredUsers, 'load' | 'accesses'>,
  replies: readonly StatusReply[],
  viewerId: string | null,
): Promise<FromPostgres> {
  const userIds = replies.filter(isOpen).map((reply) => reply.userId);
  const [storedUsers, accesses] = await Promise.all([
    postgres.load(userIds),
    viewerId === null ? new Map<string, Access>() : postgres.accesses(viewerId, userIds),
  ]);
  return { storedUsers, accesses };
}

/** Puts together what a viewer is shown of users, of the answers of both stores; the stricter counts where they disagree. */
export function applyAccess(
  replies: readonly StatusReply[],
  { storedUsers, accesses }: FromPostgres,
  now: number = Date.now(),
): Seen {
  const users: WatchedUser[] = [];
  const pending: string[] = [];
  const [unknown, restricted, unsure] = [new Set<string>(), new Set<string>(), new Set<string>()];
  const lost: string[] = [];
  const hiddenStored = new Map<string, Detail>();
  const show = (user: WatchedUser, access: Access) => users.push(visibleTo(access, user, now));
  for (const reply of replies) {
    if (reply.restricted) restricted.add(reply.userId);
    if (reply.choiceUnknown) pending.push(reply.userId);
    else if (isDecided(reply)) show(versioned(reply, reply.version), reply.access);
  }
  for (const reply of replies.filter(isOpen)) {
    const { userId, known, version } = reply;
    const stored = storedUsers?.get(userId);
    if (version !== null && reply.access === 'unknown') lost.push(userId);
    // Where PostgreSQL cannot say who may see the user, nobody is shown anything.
    const access = reply.access === 'unknown' ? accesses && 'all' : reply.access;
    if (access === null || (!known && storedUsers === null)) {
      pending.push(userId);
      continue;
    }
    const said = version === null && stored?.hidden ? strongest(stored.sources)?.detail : undefined;
    if (said) hiddenStored.set(userId, said);
    if (stored?.privacyRevision) restricted.add(userId);
    if (version === null && stored?.status === 'active') unsure.add(userId);
    if (!known && !stored) unknown.add(userId);
    const seen = stricter(access, accesses?.get(userId) ?? 'all');
    const isRecorded = version !== null && seen !== 'nothing';
    show(isRecorded ? versioned(reply, version) : recalled(reply, stored), seen);
  }
  return { users, pending, unknown, restricted, unsure, lost, hiddenStored };
}

type Decided = StatusReply & { version: number; access: 'all' | 'coarse' | 'status' };

/** Whether Redis alone can say what the viewer is shown. */
function isDecided(reply: StatusReply): reply is Decided {
  return reply.version !== null && reply.access !== 'nothing' && reply.access !== 'unknown';
}

/**
 * Whether PostgreSQL is to be asked. It is also where the viewer may see nothing, as about somebody who never came: neither
 * the answer nor its delay tells the two apart.
 */
function isOpen(reply: StatusReply): boolean {
  return !reply.choiceUnknown && !isDecided(reply);
}
