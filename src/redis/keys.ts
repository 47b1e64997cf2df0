/** Users are spread over a fixed number of shards; changing it needs an empty Redis (the state rebuilds itself). */
export const SHARDS = 16;

const ALL_SHARDS: readonly number[] = Array.from({ length: SHARDS }, (_, shard) => shard);

export type Group = 'deliver' | 'record';

/** FNV-1a (32 bit) of the id of a user or a conversation, modulo the number of shards. */
export function shardOf(id: string): number {
  let hash = 0x811c9dc5;
  for (let n = 0; n < id.length; n++) {
    hash = Math.imul(hash ^ id.charCodeAt(n), 0x01000193);
  }
  return (hash >>> 0) % SHARDS;
}

/**
 * Makes the names of all keys; they are made nowhere else. On a single Redis a user's keys are `user:status:<id>`; in a
 * cluster the shard's hash tag stands between, `user:status:{s7}:<id>`, so that a user, the shard's deadlines and its
 * outbox share a slot. What concerns no shard is a key by itself, in whatever slot.
 */
export function createKeys(prefix: string, cluster: boolean) {
  const tag = (shard: number) => (cluster ? `{s${shard}}:` : '');
  const ofShard = (name: string, shard: number) =>
    cluster ? `${prefix}presence:${name}:{s${shard}}` : `${prefix}presence:${name}:s${shard}`;
  const ofNode = (name: string, shard: number) =>
    cluster ? `${prefix}presence:${name}:{s${shard}}` : `${prefix}presence:${name}`;
  const sweepLease = `${prefix}presence:lease-sweep`;
  return {
    stem: prefix,
    tag,
    /** Shards that are certain to be on one node: all of them on a single Redis, each for itself in a cluster. */
    slotGroups: cluster ? ALL_SHARDS.map((shard) => [shard]) : [ALL_SHARDS],
    status: (userId: string) => `${prefix}user:status:${tag(shardOf(userId))}${userId}`,
    lastSeen: (userId: string) => `${prefix}user:last_seen:${tag(shardOf(userId))}${userId}`,
    record: (userId: string) => `${prefix}user:sessions:${tag(shardOf(userId))}${userId}`,
    /** When the user signed out everywhere last, for as long as somebody may not have heard of it. */
    signedOut: (userId: string) => `${prefix}user:signed_out:${tag(shardOf(userId))}${userId}`,
    privacy: (userId: string) => `${prefix}user:privacy:${tag(shardOf(userId))}${userId}`,
    /** Where lists that decide who may see somebody of the shard are gathered before they are put in place. */
    stagedPrivacy: (shard: number, token: string) => `${prefix}privacy:staged:${tag(shard)}${token}`,
    /** Who ever restricted anything, and '' where that is everybody who did. */
    restricted: (shard: number) => `${prefix}users:restricted${cluster ? `:{s${shard}}` : ''}`,
    /** Whom the user asked for by name today, and, of who asked for many, as a bitmap. */
    looks: (userId: string) => `${prefix}user:looks:${tag(shardOf(userId))}${userId}`,
    looked: (userId: string) => `${prefix}user:looked:${tag(shardOf(userId))}${userId}`,
    /** Who asked for many by name today, by how many. */
    looking: (shard: number) => ofShard('looking', shard),
    due: (shard: number) => ofShard('due', shard),
    outbox: (shard: number) => ofShard('outbox', shard),
    /** Who was erased, and until when (ms) what stands in the outbox of them is not to be recorded; lua/drop-traces.lua makes it. */
    gone: (shard: number) => `${ofShard('outbox', shard)}:gone`,
    /** Everybody by when they were last seen, for 30 days. */
    seen: (shard: number) => ofShard('seen', shard),
    /** Those whose `due` is not the moment until which they are active: by `due`, and by that moment. */
    apartDue: (shard: number) => ofShard('apart-due', shard),
    apartActive: (shard: number) => ofShard('apart-active', shard),
    /** Connections of users who were erased. */
    erased: (shard: number) => ofShard('erased', shard),
    unrecorded: (shard: number) => ofShard('unrecorded', shard),
    choiceUnknown: (shard: number) => ofShard('unseeded', shard),
    /** Who is typing or the like in the shard's conversations, by the moment at which that ends. */
    indicators: (shard: number) => ofShard('indicators', shard),
    /** Who is typing or the like in one conversation, by the moment at which that ends. */
    doing: (conversationId: string) => `${prefix}conversation:doing:${tag(shardOf(conversationId))}${conversationId}`,
    /** Of a room's list: who is shown there, of whom not everybody may see all, and its version; lua/lib-room.lua makes them. */
    room: (part: 'users' | 'closed' | 'state', roomId: string) =>
      `${prefix}room:${part}:${tag(shardOf(roomId))}${roomId}`,
    /** The rooms that a user's sessions are in. */
    userRooms: (userId: string) => `${prefix}user:rooms:${tag(shardOf(userId))}${userId}`,
    /** How many are in each room of the shard, who left one a moment ago, what is to be told of them, and who said something lately. */
    roomCounts: (shard: number) => ofShard('rooms', shard),
    roomsLeft: (shard: number) => ofShard('rooms-left', shard),
    roomsOwed: (shard: number) => ofShard('rooms-owed', shard),
    roomsSaid: (shard: number) => ofShard('rooms-said', shard),
    /** Exists while it is not known who is in rooms, for Redis has lost something. */
    roomsUnsettled: (shard: number) => ofNode('rooms-unsettled', shard),
    /** Who PostgreSQL said to be a member of the shard's conversations, and who was removed a moment ago. */
    members: (shard: number) => ofShard('members', shard),
    removedMembers: (shard: number) => ofShard('members-removed', shard),
    wake: (group: Group, shard: number) => ofShard(`wake-${group}`, shard),
    lease: (group: Group, shard: number) => ofShard(`lease-${group}`, shard),
    /**
     * Keys that do not exist, and are named to the scripts that make key names of their own. While a cluster moves a slot
     * from node to node, one script must not see half of a shard; Redis refuses one that names a key it has not.
     */
    guard: (shard: number) => (cluster ? [ofShard('never', shard)] : []),
    pulse: (shard: number) => ofNode('pulse', shard),
    hold: (shard: number) => ofNode('hold', shard),
    holds: (shard: number) => ofNode('holds', shard),
    epoch: (shard: number) => ofNode('epoch', shard),
    /** Which run of which server answered last. */
    server: (shard: number) => ofNode('server', shard),
    /** Exists while an operator looks at all processes, which then tell of themselves in `processes`. */
    onlookers: (shard: number) => ofNode('onlookers', shard),
    processes: `${prefix}presence:processes`,
    /** The epoch whose losses have been settled, and when. */
    settled: `${prefix}presence:settled`,
    /** The epoch for which `seen` was completed from PostgreSQL, or how far that is. */
    completed: `${prefix}presence:seen-completed`,
    /** Who sweeps the shards of a slot group; a node that is away keeps nobody from the others. */
    sweepLease: (group: number) => (cluster ? `${sweepLease}:{s${group}}` : sweepLease),
    /** How much the web processes have let through in a window; lives no longer than that. */
    limit: (name: string, whom: string) => `${prefix}presence:limit:${name}:${whom}`,
    /** What is known of a host that takes Web Pushes, and the tries in flight to it or for a user; all in one slot. */
    pushHost: (host: string) => `${prefix}presence:{push}:host:${host}`,
    pushFlights: (of: 'host' | 'user', whom: string) => `${prefix}presence:{push}:flights-${of}:${whom}`,
    delivery: `${prefix}presence:{delivery}`,
    deliveryCount: `${prefix}presence:{delivery}:count`,
    slotGroupOf: (shard: number) => (cluster ? shard : 0),
    /** One shard of each slot group: by them it is known whether the group's node can be reached. */
    pulseShards: cluster ? ALL_SHARDS : [0],
    /** BullMQ's prefix. A queue lives in one hash slot; in a cluster each in one of its own. */
    queuePrefix: (queue: string) => (cluster ? `${prefix}bull:{${queue}}` : `${prefix}bull`),
  };
}

export type Keys = ReturnType<typeof createKeys>;
