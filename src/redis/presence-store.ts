import type { Claims, Detail, Status, StoredSource, StoredUser } from '../presence/change.ts';
import type { Arm, FollowUp } from '../presence/follow-up.ts';
import { NO_TRACING } from '../telemetry/tracing.ts';
import type { RedisClock } from './clock.ts';
import type { RedisClient } from './connect.ts';
import { GatheredScript } from './gathered-script.ts';
import { type Glanced, glance } from './glance.ts';
import { type Keys, shardOf } from './keys.ts';
import { openArguments, openedOf } from './opening.ts';
import { PresenceScripts, storedArgument } from './presence-scripts.ts';
import type { Beat, Chosen, Opened, OpenRequest, SignedOut, StatusReply, Stored } from './presence-types.ts';
import { packSources, parseDetail, parseRecord, type UserRecord } from './record.ts';
import type { Reply, ScriptName } from './scripts.ts';
import { PER_STATUS, statusesIn, toMs, UNSETTLED } from './status-replies.ts';
import { type Touched, touch } from './touch.ts';

/**
 * A user whose time had come. `nextMs`: when to look again; null: not needed. `job`: number of the job that is the user's own by
 * now.
 */
interface Expired {
  userId: string;
  nextMs: number | null;
  announced: Status | null;
  job: string | null;
}

/**
 * Says and changes who is here now. Every method (but `touch`) is one script call on one shard: it settles what is overdue first,
 * does its own work, and appends what follows to the shard's outbox in the same step. Callers owe the returned follow-up to the
 * queues. Errors are those of ioredis where Redis is away; nothing is half-done then.
 */
export class PresenceStore {
  readonly #redis: RedisClient;
  readonly #keys: Keys;
  readonly #clock: RedisClock;
  readonly #ttlMs: number;
  readonly #scripts: PresenceScripts;
  readonly #opening: GatheredScript;
  /** Those for whom PostgreSQL was asked first: they are not to wait for a next time. */
  readonly #openingStored: GatheredScript;
  readonly #closing: GatheredScript;
  readonly #expiring: GatheredScript;

  constructor(redis: RedisClient, keys: Keys, clock: RedisClock, ttlMs: number, tracing = NO_TRACING) {
    this.#redis = redis;
    this.#keys = keys;
    this.#clock = clock;
    this.#ttlMs = ttlMs;
    this.#scripts = new PresenceScripts(redis, keys, clock, ttlMs, tracing);
    const gathered = (script: ScriptName) => new GatheredScript(this.#scripts, script, keys.slotGroupOf);
    this.#opening = gathered('open-session');
    this.#openingStored = gathered('open-session');
    this.#closing = gathered('close-session');
    this.#expiring = gathered('expire-users');
  }

  /** Opens or restores a session, or puts a lease. `stored`: what PostgreSQL has of the user; null: ask it where the code is `stored`. */
  async open(request: OpenRequest, stored: Stored | null): Promise<Opened & { followUp: FollowUp }> {
    const { userId } = request;
    const opening = stored === null ? this.#opening : this.#openingStored;
    const asked = (waitedMs: number) => openArguments(request, stored, waitedMs);
    const { reply, followUp } = await opening.ask(shardOf(userId), asked);
    arm(followUp.arms, userId, String(reply[3]), Number(reply[4]));
    const sooner = Number(reply[6]);
    if (sooner >= 0) followUp.arms.push({ kind: 'once', userId, why: 'silent', delayMs: sooner });
    return { ...openedOf(reply), followUp };
  }

  /**
   * Takes beats of users who are all in one place, one of each connection at most. Returns those that need more by their number:
   * `missing` (open again to restore), or ended.
   */
  touch(beats: readonly Beat[]): Promise<Touched> {
    const where = { redis: this.#redis, keys: this.#keys, clock: this.#clock, ttlMs: this.#ttlMs };
    return touch(where, this.#scripts, beats);
  }

  /** Says a goodbye of `ageMs` ago. `late`: the session was not this connection's any more, and nothing happened. */
  async close(
    session: { userId: string; sessionId: string; conn: string },
    ageMs: number,
    graceMs: number,
  ): Promise<{ late: boolean; followUp: FollowUp }> {
    const { userId, sessionId, conn } = session;
    const { reply, followUp } = await this.#closing.ask(shardOf(userId), (waitedMs) => [
      userId,
      sessionId,
      conn,
      Math.round(ageMs + waitedMs),
      graceMs,
    ]);
    if (reply[0] !== 'ok') return { late: true, followUp };
    // With other devices left this is the deadline of the next one, which may be nearer than the waiting job's.
    followUp.arms.push({ kind: 'once', userId, why: 'closed', delayMs: Math.max(0, Number(reply[1])) });
    return { late: false, followUp };
  }

  /** Gives sessions of one shard up without ending them; their deadline is `handoverMs` from now. */
  async handOver(
    shard: number,
    sessions: { userId: string; sessionId: string; conn: string }[],
    handoverMs: number,
  ): Promise<FollowUp> {
    const args = sessions.flatMap((session) => [session.userId, session.sessionId, session.conn]);
    const { reply, followUp } = await this.#scripts.run('hand-over', shard, [handoverMs, ...args]);
    for (let n = 1; n + 1 < reply.length; n += 2) {
      const delayMs = Math.max(0, Number(reply[n + 1]));
      followUp.arms.push({ kind: 'once', userId: String(reply[n]), why: 'handover', delayMs });
    }
    return followUp;
  }

  /**
   * Sets what the user chose. `expiresInMs` null: until further notice. PostgreSQL has to have the choice before; for `active`
   * the store answers `clear` where an earlier choice has to be dropped there first (`cleared` says it was).
   */
  async setStatus(
    userId: string,
    status: Status,
    choice: { expiresInMs: number | null; cleared: boolean; claims: Claims | null },
    stored: Stored | null,
  ): Promise<Chosen> {
    const { reply, followUp } = await this.#scripts.run('set-status', shardOf(userId), [
      userId,
      status,
      choice.expiresInMs === null ? -1 : Math.round(choice.expiresInMs),
      choice.claims ? JSON.stringify(choice.claims) : '',
      choice.cleared ? 1 : 0,
      storedArgument(stored),
    ]);
    arm(followUp.arms, userId, String(reply[5]), Number(reply[6]));
    const ends = Number(reply[7]);
    if (ends >= 0) followUp.arms.push({ kind: 'once', userId, why: 'choice-ends', delayMs: ends });
    return {
      code: reply[1] as Chosen['code'],
      status: reply[2] === 1 ? 'active' : 'inactive',
      lastSeen: toMs(reply[3]),
      version: Number(reply[4]),
      followUp,
    };
  }

  /** Sets all sources of the detail, the strongest first, as PostgreSQL has them; those of an older revision change nothing. */
  async setDetail(
    userId: string,
    { revision, sources }: { revision: number; sources: readonly StoredSource[] },
    stored: Stored | null,
  ): Promise<{ code: 'ok' | 'stored'; followUp: FollowUp }> {
    const packed = sources.length > 0 ? JSON.stringify(packSources(sources)) : '';
    const args = [userId, revision, packed, storedArgument(stored)];
    const { reply, followUp } = await this.#scripts.run('set-detail', shardOf(userId), args);
    const ends = Number(reply[2]);
    if (ends >= 0) followUp.arms.push({ kind: 'once', userId, why: 'detail-ends', delayMs: ends });
    return { code: reply[1] as 'ok' | 'stored', followUp };
  }

  /** Signs out one session or (null) all; with `conn`, only where that connection holds it. `found` false: there is none. */
  async logOut(userId: string, sessionId: string | null, conn = ''): Promise<SignedOut> {
    return this.#signOut(userId, [sessionId ?? '', conn, '', '']);
  }

  /** Says a logout again that was answered `ageMs` ago, because Redis may have lost it: it ends nothing that came later. */
  async logOutAgain(userId: string, sessionId: string | null, ageMs: number, conns: string): Promise<SignedOut> {
    return this.#signOut(userId, [sessionId ?? '', '', Math.round(ageMs), conns]);
  }

  async #signOut(userId: string, args: (string | number)[]): Promise<SignedOut> {
    const { reply, followUp } = await this.#scripts.run('log-out', shardOf(userId), [userId, ...args]);
    const delayMs = Number(reply[2]);
    if (delayMs > 0) followUp.arms.push({ kind: 'once', userId, why: 'closed', delayMs });
    return { found: reply[1] === 'ok', conns: String(reply[3]), followUp };
  }

  /**
   * Makes the transitions that are due for users of one shard. `number` is that of the timeout job that asks, or ''. Returns for each
   * what came of it, in their order.
   */
  async expire(
    shard: number,
    users: readonly { userId: string; number: string }[],
  ): Promise<{ users: Expired[]; followUp: FollowUp }> {
    const asked = users.map(({ userId, number }) => ({ shard, args: [userId, number] }));
    const { replies, followUps } = await this.#scripts.runMany('expire-users', asked, this.#scripts.trace());
    const [followUp = { shard, wakeDeliver: false, wakeRecord: false, arms: [] }] = followUps;
    return { users: users.map(({ userId }, n) => expiredOf(userId, replies[n] ?? [])), followUp };
  }

  /** What `expire` does, for one user, together with all others for whom it is asked in the same moment. */
  async expireOne(userId: string, number: string): Promise<{ user: Expired; followUp: FollowUp }> {
    const { reply, followUp } = await this.#expiring.ask(shardOf(userId), () => [userId, number]);
    return { user: expiredOf(userId, reply), followUp };
  }

  /**
   * Reads what a viewer (null: one who sees everything) may know of users of a shard, and up to which outbox entry that is true.
   */
  async snapshot(
    shard: number,
    userIds: string[],
    viewerId: string | null = null,
  ): Promise<{ users: StatusReply[]; hidden: [string, Detail][]; position: string; followUp: FollowUp }> {
    return this.#snapshot(shard, userIds, viewerId, 1);
  }

  async #snapshot(shard: number, userIds: string[], viewerId: string | null, watches: 0 | 1) {
    const { reply, followUp } = await this.#scripts.run('snapshot', shard, [viewerId ?? '', watches, ...userIds]);
    const tail = reply.slice(2 + PER_STATUS * userIds.length).map(String);
    const hidden = Array.from({ length: tail.length / 2 }, (_, n): [string, Detail] => [
      tail[2 * n] ?? '',
      parseDetail(tail[2 * n + 1]) ?? {},
    ]);
    return { users: statusesIn(reply, 2, userIds), hidden, position: String(reply[1]), followUp };
  }

  /** Looks at many users at once, as far as there is nothing more to them: see `glance`; of the others `readStatuses` tells. */
  glance(userIds: readonly string[], seesAll: boolean): Promise<(Glanced | null)[]> {
    const context = { redis: this.#redis, keys: this.#keys, clock: this.#clock, ttlMs: this.#ttlMs };
    return glance(context, userIds, seesAll);
  }

  /** Reads what `snapshot` does but for the entry, and cheaper; no follow-up where nobody had to be settled. */
  async readStatuses(
    shard: number,
    userIds: string[],
    viewerId: string | null,
  ): Promise<{ users: StatusReply[]; followUp: FollowUp | null }> {
    const reply = await this.#scripts.read('read-statuses', shard, [viewerId ?? '', ...userIds]);
    const users = statusesIn(reply, 0, userIds);
    const unsettled = userIds.filter((_, n) => reply[n * PER_STATUS] === UNSETTLED);
    if (unsettled.length === 0) return { users, followUp: null };
    const settled = await this.#snapshot(shard, unsettled, viewerId, 0);
    const byId = new Map(settled.users.map((user) => [user.userId, user]));
    return { users: users.map((user) => byId.get(user.userId) ?? user), followUp: settled.followUp };
  }

  /** Forgets the user here, tells watchers, and makes a worker erase them from PostgreSQL when it comes to `position`. */
  async erase(userId: string): Promise<{ position: string; followUp: FollowUp }> {
    const { reply, followUp } = await this.#scripts.run('erase', shardOf(userId), [userId]);
    return { position: String(reply[1]), followUp };
  }

  /**
   * Drops what was made of a user since `erase`, once PostgreSQL has erased them. `isRecording`: what is in the outbox by now is
   * not to be recorded, which `Outbox.take` says from now on. Returns the moment at which nobody was here by that id (ms of
   * Redis's clock); null: they are here again.
   */
  async dropTraces(userId: string, { isRecording }: { isRecording: boolean }): Promise<number | null> {
    const { reply } = await this.#scripts.run('drop-traces', shardOf(userId), [userId, isRecording ? 1 : 0]);
    return Number(reply[1]) || null;
  }

  /** Reads one user's record, settled; null where there is none. `now` is Redis's time (ms). */
  async inspect(userId: string): Promise<{ now: number; record: UserRecord | null; followUp: FollowUp }> {
    const { now, records, followUp } = await this.inspectAll(shardOf(userId), [userId]);
    return { now, record: records[0] ?? null, followUp };
  }

  /** What `inspect` does, for users of one shard, in their order. */
  async inspectAll(
    shard: number,
    userIds: string[],
  ): Promise<{ now: number; records: (UserRecord | null)[]; followUp: FollowUp }> {
    const { reply, followUp } = await this.#scripts.run('inspect', shard, userIds);
    const records = (reply.slice(2) as Reply[][]).map((flat) =>
      flat.length > 0 ? parseRecord(flat.map(String)) : null,
    );
    return { now: Number(reply[1]), records, followUp };
  }

  /** Tells Redis what PostgreSQL has of users of a shard: those made without it, and those it lost while they were active. */
  async adopt(shard: number, users: { userId: string; stored: StoredUser }[]): Promise<FollowUp> {
    const args = users.flatMap(({ userId, stored }) => [userId, storedArgument(stored)]);
    const { reply, followUp } = await this.#scripts.run('adopt', shard, args);
    for (let n = 1; n + 2 < reply.length; n += 3) {
      arm(followUp.arms, String(reply[n]), String(reply[n + 1]), Number(reply[n + 2]));
    }
    return followUp;
  }

  /** Drops the cached last seen of users whose logout is in PostgreSQL, unless they have come back. */
  async dropCached(shard: number, users: { userId: string; version: number }[]): Promise<void> {
    await this.#scripts.run(
      'drop-cached',
      shard,
      users.flatMap(({ userId, version }) => [userId, version]),
    );
  }
}

function expiredOf(userId: string, [next, announced, job]: Reply[]): Expired {
  const nextMs = Number(next);
  return {
    userId,
    nextMs: nextMs < 0 ? null : nextMs,
    announced: (announced as Status) || null,
    job: (job as string) || null,
  };
}

function arm(arms: Arm[], userId: string, number: string, delayMs: number): void {
  if (number !== '') arms.push({ kind: 'check', userId, number, delayMs: Math.max(0, delayMs) });
}
