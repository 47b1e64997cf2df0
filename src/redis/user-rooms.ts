import type { FollowUp } from '../presence/follow-up.ts';
import { NO_TRACING } from '../telemetry/tracing.ts';
import type { RedisClock } from './clock.ts';
import type { RedisClient } from './connect.ts';
import { GatheredScript } from './gathered-script.ts';
import { type Keys, shardOf } from './keys.ts';
import { PresenceScripts } from './presence-scripts.ts';
import { toldOf } from './room-reading.ts';
import type { ToldOfRooms } from './room-types.ts';
import type { Reply } from './scripts.ts';

/** `missing`: Redis does not know the session; `full`: it, or the user, is in too many rooms; `absent`: it is not in the room. */
export type RoomChangeCode = 'ok' | 'missing' | 'full' | 'absent';

export interface RoomChanged {
  code: RoomChangeCode;
  /** What others are told by it; null: nothing. */
  told: ToldOfRooms | null;
  /** Since when the user is there (ms); null: not any more. */
  since: number | null;
  /** What the session said there last (JSON), '' for nothing. */
  data: string;
  /** The connections that were put out. */
  conns: string[];
  followUp: FollowUp;
}

/** A session in a room. */
export interface RoomSession {
  userId: string;
  sessionId: string;
  conn: string;
  roomId: string;
}

/** A room that a user is in; of each session there what it said last (JSON), '' for nothing. */
export interface RoomOfUser {
  roomId: string;
  since: number;
  sessions: { sessionId: string; data: string }[];
}

/** Where a user is, as its own sessions have it. */
export interface RoomsOfUser {
  /** What lists are to show; of who appears inactive nothing. */
  told: ToldOfRooms;
  rooms: RoomOfUser[];
}

/**
 * Which rooms a user's sessions are in: the truth, kept beside the sessions. Every change is one script call on the user's shard, together with
 * those of a crowd, which also tells what is new by it. Callers owe the follow-up to the queues. Errors are those of ioredis where Redis
 * is away.
 */
export class UserRooms {
  readonly #redis: RedisClient;
  readonly #keys: Keys;
  readonly #scripts: PresenceScripts;
  /** Every change goes by it: what a connection said first is done first. */
  readonly #changing: GatheredScript;
  readonly #maxOfSession: number;

  /** `maxOfSession`: in how many rooms a session may be. */
  constructor(
    redis: RedisClient,
    keys: Keys,
    clock: RedisClock,
    ttlMs: number,
    maxOfSession: number,
    tracing = NO_TRACING,
  ) {
    this.#redis = redis;
    this.#keys = keys;
    this.#scripts = new PresenceScripts(redis, keys, clock, ttlMs, tracing);
    this.#changing = new GatheredScript(this.#scripts, 'change-room', keys.slotGroupOf);
    this.#maxOfSession = maxOfSession;
  }

  /**
   * A session comes to a room, or says something new there; `data` (JSON) '' says nothing. `since` (ms), else 0: where it was before Redis
   * lost it.
   */
  join(session: RoomSession, data: string, since = 0): Promise<RoomChanged> {
    return this.#change(session, 'join', data, since);
  }

  /** A session that Redis knows is where it was (since then, ms) before Redis forgot that; it has gone on being there. */
  goOn(session: RoomSession, data: string, since: number): Promise<RoomChanged> {
    return this.#change(session, 'return', data, since);
  }

  /** A session that is in a room says something new of itself. */
  update(session: RoomSession, data: string): Promise<RoomChanged> {
    return this.#change(session, 'update', data);
  }

  /** A session leaves a room. */
  leave(session: RoomSession): Promise<RoomChanged> {
    return this.#change(session, 'leave', '');
  }

  /** Takes all sessions of a user out of a room; the webs let their connections go. */
  putOut(userId: string, roomId: string): Promise<RoomChanged> {
    return this.#change({ userId, sessionId: '', conn: '', roomId }, 'leave', '');
  }

  /** What was said of these shards' rooms so far comes before whatever is asked of Redis from now on. */
  send(shard: number): void {
    this.#changing.send(shard);
  }

  async #change(
    { userId, sessionId, conn, roomId }: RoomSession,
    action: string,
    data: string,
    wasThere = 0,
  ): Promise<RoomChanged> {
    const args = [userId, sessionId, conn, action, roomId, data, this.#maxOfSession, wasThere];
    const { reply, followUp } = await this.#changing.ask(shardOf(userId), () => args);
    const [code, sequence, json, since, shown, conns] = reply.map(String);
    return {
      code: code as RoomChangeCode,
      told: sequence ? toldOf(userId, sequence, json ?? '') : null,
      since: since ? Number(since) : null,
      data: shown ?? '',
      conns: conns ? conns.split(' ') : [],
      followUp,
    };
  }

  /** Those of these users, all of one shard, who are in a room. */
  async whoAreInRooms(userIds: readonly string[]): Promise<string[]> {
    const asked = this.#redis.pipeline();
    for (const userId of userIds) asked.hget(this.#keys.record(userId), 'z');
    const replies = (await asked.exec()) ?? [];
    return userIds.filter((_, n) => {
      const [error, told] = replies[n] ?? [null, null];
      if (error) throw error;
      return typeof told === 'string' && told.includes('|');
    });
  }

  /** What the store of a shard is known by at this moment: null where it has just lost all that it held. */
  epoch(shard: number): Promise<string | null> {
    return this.#redis.get(this.#keys.epoch(shard));
  }

  /** Where users of one shard are, in their order. */
  async ofUsers(shard: number, userIds: readonly string[]): Promise<{ users: RoomsOfUser[]; followUp: FollowUp }> {
    const { reply, followUp } = await this.#scripts.run('user-rooms', shard, [...userIds]);
    return { users: userIds.map((userId, n) => roomsOf(userId, reply[n + 1] as Reply[])), followUp };
  }
}

function roomsOf(userId: string, [sequence, isTold, access, idle, flat]: Reply[]): RoomsOfUser {
  const texts = (flat as Reply[]).map(String);
  const rooms: RoomsOfUser['rooms'] = [];
  const told: [string, { since: number; access: string; idle: boolean; data: string }][] = [];
  for (let n = 0; n + 3 < texts.length; n += 4) {
    const [roomId = '', sinceText, data = '', sessions = ''] = texts.slice(n, n + 4);
    const since = Number(sinceText);
    rooms.push({ roomId, since, sessions: sessions.split('\n').map(saidBy) });
    if (isTold === 1) told.push([roomId, { since, access: String(access), idle: idle === 1, data }]);
  }
  return { told: { userId, sequence: Number(sequence), rooms: new Map(told) }, rooms };
}

function saidBy(line: string): { sessionId: string; data: string } {
  const [sessionId = '', ...data] = line.split(' ');
  return { sessionId, data: data.join(' ') };
}
