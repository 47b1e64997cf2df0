import { randomBytes } from 'node:crypto';
import type { Config } from '../../config/config.ts';
import { RollcallError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { SessionState } from '../../presence/session.ts';
import type { CloseReason } from '../../protocol/socket.ts';
import type { Stores } from '../../stores.ts';
import type { Opening } from '../../usecases/opens.ts';
import type { Presence } from '../../usecases/presence.ts';
import { type Connection, type ConnectionRequest, connectionOf, openRequestOf } from './connection.ts';
import { Goodbyes } from './goodbyes.ts';
import { type HeartbeatListener, Heartbeats } from './heartbeats.ts';
import { configuredTimes, type SessionTimes } from './session-times.ts';
import { Silence } from './silence.ts';

const RESTORES_AT_ONCE = 100;
const HANDOVERS_AT_ONCE = 200;

/**
 * Expiry waits for a process that is behind with beats for a TTL in a row, or so long (ms) where that is less: people who left
 * must not stay active for as long as Redis cannot cope, and to tell of thousands takes a busy one some seconds.
 */
const LEAST_PATIENCE_MS = 10_000;

/** Holds the sessions of this process: opens them, keeps them alive, restores them, hands them over. */
export class Connections {
  readonly #presence: Presence;
  readonly #stores: Stores;
  readonly #config: Config;
  readonly #log: Logger;
  readonly #heartbeats: Heartbeats;
  readonly #goodbyes: Goodbyes;
  readonly #held = new Map<string, Connection>();
  readonly #process = randomBytes(6).toString('base64url');
  #serial = 0;
  #draining = false;
  readonly #times: SessionTimes;
  readonly #silence: Silence;
  readonly #opening = new Set<Promise<unknown>>();
  /** Of how many sessions Redis is being told again, by shard. */
  readonly #restoring = new Map<number, number>();
  readonly #restores = new Map<Connection, Promise<void>>();
  #waitsForRestores = false;
  #onRestored: (connection: Connection) => Promise<void> = async () => {};

  constructor(presence: Presence, stores: Stores, config: Config, log: Logger, stretch: () => number) {
    this.#presence = presence;
    this.#stores = stores;
    this.#config = config;
    this.#log = log;
    const listener: HeartbeatListener = {
      missing: (connection) => void this.restore(connection),
      ended: (connection, reason) => this.#drop(connection, reason),
      caughtUp: () => void stores.pulse.beatAnew(),
    };
    this.#heartbeats = new Heartbeats(stores, presence.followUps, listener, stretch);
    this.#goodbyes = new Goodbyes(stores, presence.followUps, log);
    this.#times = configuredTimes(config);
    this.#silence = new Silence(this.#held, presence.followUps, this.#times);
    this.#silence.start();
    const patienceMs = Math.max(config.ttlMs, LEAST_PATIENCE_MS);
    stores.pulse.holdWhile((...contact) => {
      const isRestoring = contact[0].some((shard) => this.#restoring.has(shard));
      this.#waitsForRestores ||= isRestoring;
      return this.#heartbeats.isBehind(...contact) || isRestoring;
    }, patienceMs);
    stores.pulse.restWhile(() => this.#held.size === 0);
    stores.pulse.onBack((shards) => this.#onBack(shards));
    stores.pulse.onLost((shards) => void this.#onLost(shards));
  }

  /** Calls `listener` whenever a session was told to a Redis that had lost it. */
  onRestored(listener: (connection: Connection) => Promise<void>): void {
    this.#onRestored = listener;
  }

  /** How many sessions this process holds. */
  get size(): number {
    return this.#held.size;
  }

  /** Those of these shards whose sessions are in rooms, or were. */
  inRooms(shards: readonly number[]): Connection[] {
    return this.#heldIn(shards).filter(({ rooms }) => rooms !== null);
  }

  /** Opens a session for a new connection. Throws TOO_MANY_SESSIONS or UNAVAILABLE. */
  open(request: ConnectionRequest): Promise<Connection> {
    this.#stores.pulse.wake();
    const opening = this.#open(request).finally(() => this.#opening.delete(opening));
    this.#opening.add(opening);
    return opening;
  }

  async #open(request: ConnectionRequest): Promise<Connection> {
    const { claims, appear } = request;
    this.#serial++;
    const connection = connectionOf(request, this.#times, `${this.#process}.${this.#serial.toString(36)}`);
    let opening: Opening;
    try {
      const asked = openRequestOf(connection, this.#times, this.#config.maxSessionsPerUser);
      opening = await this.#presence.open({ ...asked, mode: 'connect', claims, appear, rooms: request.rooms });
    } catch (error) {
      // It may have been opened without our hearing of it: nobody must stay active for a connection that was refused.
      this.leave(connection);
      throw error;
    }
    const { code, state, chosen } = opening;
    connection.cameHidden = chosen;
    if (code === 'full') {
      throw new RollcallError('TOO_MANY_SESSIONS', {
        message: `This user already has ${this.#config.maxSessionsPerUser} sessions; end one of them first.`,
      });
    }
    if (code === 'crowded') throw new RollcallError('TOO_MANY_ROOMS');
    // A hello that arrives after its own goodbye is refused as ended; so is one while this process lets go.
    if (code !== 'ok' || this.#draining) {
      this.takeBack(connection);
      throw new RollcallError('UNAVAILABLE', { message: 'Ended while it was being opened.', retryAfterMs: 1000 });
    }
    connection.state = state ?? connection.state;
    this.#held.set(connection.conn, connection);
    return connection;
  }

  /** Ends the session of a client that was not let in after all, and what it chose by coming. */
  takeBack(connection: Connection): void {
    const { userId, sessionId, conn, cameHidden, holds } = connection;
    this.leave(connection, cameHidden);
    // The end of a user's last session by a logout ends their choice, too.
    if (cameHidden && holds)
      this.#presence.endSession(userId, sessionId, conn).catch(() => this.#goodbyes.add(connection, 0));
  }

  /** Takes a sign of life, which counts from now. `told` is called once Redis has it; while Redis is away it is kept. */
  beat(connection: Connection, state: SessionState | null, told: (() => void) | null = null): void {
    if (connection.holds) this.#heartbeats.beat(connection, state, told);
    else told?.();
  }

  /**
   * Lets a connection go that is closed from here and will be back: nobody is told that they left, if they come within
   * the time of a handover.
   */
  sendAway(connection: Connection): void {
    this.#leave(connection, Math.max(this.#config.disconnectGraceMs, this.#config.handoverMs));
  }

  /**
   * Ends the session of a connection that is gone. `silent`: it only stopped answering, so the session keeps its
   * deadline.
   */
  leave(connection: Connection, silent = false): void {
    this.#leave(connection, silent ? null : this.#config.disconnectGraceMs);
  }

  #leave(connection: Connection, graceMs: number | null): void {
    this.#held.delete(connection.conn);
    if (!connection.holds) return;
    connection.holds = false;
    this.#heartbeats.drop(connection);
    if (graceMs !== null) this.#goodbyes.add(connection, graceMs);
  }

  /** Closes connections whose sessions were ended elsewhere. */
  close(conns: string[], reason: 'replaced' | 'logout'): void {
    for (const conn of conns) {
      const connection = this.#held.get(conn);
      if (connection) this.#drop(connection, reason);
    }
  }

  /** Gives all sessions up without ending them; their clients come back elsewhere. Resolves when Redis knows, or cannot be told. */
  async handOver(): Promise<void> {
    this.#draining = true;
    const all = [...this.#held.values()];
    this.#held.clear();
    for (const connection of all) {
      connection.holds = false;
      this.#heartbeats.drop(connection);
    }
    const byGroup = Map.groupBy(all, ({ shard }) => this.#stores.keys.slotGroupOf(shard));
    await Promise.all([...byGroup.values()].map((connections) => this.#handOverAll(connections)));
  }

  async #handOverAll(all: Connection[]): Promise<void> {
    for (const [shard, connections] of Map.groupBy(all, (connection) => connection.shard)) {
      for (let n = 0; n < connections.length; n += HANDOVERS_AT_ONCE) {
        const batch = connections.slice(n, n + HANDOVERS_AT_ONCE);
        try {
          this.#stores.userRooms.send(shard);
          this.#presence.followUps.add(await this.#stores.store.handOver(shard, batch, this.#config.handoverMs));
        } catch (error) {
          this.#log.warn(
            { err: error, sessions: batch.length },
            'Sessions could not be handed over; they keep their deadlines',
          );
        }
      }
    }
  }

  /** Resolves once what is on its way to Redis and to the queues has been tried. */
  async settled(): Promise<void> {
    await this.#goodbyes.settled();
    await this.#presence.followUps.settled();
  }

  /** Nobody is let in any more; what is on its way to Redis and to the queues is waited for. For good. */
  async stop(): Promise<void> {
    this.#draining = true;
    this.#silence.stop();
    // Who was opened meanwhile is said goodbye to.
    await Promise.allSettled(this.#opening);
    await this.#goodbyes.stop();
    await this.#heartbeats.stop();
    await this.#presence.followUps.stop();
  }

  #drop(connection: Connection, reason: CloseReason): void {
    this.#held.delete(connection.conn);
    this.#heartbeats.drop(connection);
    if (!connection.holds) return;
    connection.holds = false;
    connection.endedWith = reason;
    connection.end(reason);
  }

  /** Tells Redis of a session that it does not know; its last sign of life stays what it was. */
  async restore(connection: Connection): Promise<void> {
    if (!connection.holds) return;
    this.#restoring.set(connection.shard, (this.#restoring.get(connection.shard) ?? 0) + 1);
    try {
      const asked = openRequestOf(connection, this.#times, this.#config.maxSessionsPerUser);
      const { code } = await this.#presence.open({ ...asked, mode: 'restore', claims: null });
      if (code === 'replaced' || code === 'logout') this.#drop(connection, code);
      // Gone while it was being restored: the goodbye found nothing to end then.
      else if (!connection.holds) this.#goodbyeAgain(connection);
      else if (connection.rooms !== null) await this.#onRestored(connection);
    } catch (error) {
      // The beat is still owed: it comes with the next flush.
      if (connection.holds) this.#heartbeats.owe(connection);
      if (!(error instanceof RollcallError)) this.#log.error({ err: error }, 'A session could not be restored');
    } finally {
      this.#restored(connection);
    }
  }

  /** As `restore`, once for all that a connection says in one moment. */
  restoreOnce(connection: Connection): Promise<void> {
    const under = this.#restores.get(connection);
    if (under) return under;
    const restore = this.restore(connection).finally(() => this.#restores.delete(connection));
    this.#restores.set(connection, restore);
    return restore;
  }

  #restored({ shard }: Connection): void {
    const left = (this.#restoring.get(shard) ?? 1) - 1;
    if (left > 0) this.#restoring.set(shard, left);
    else this.#restoring.delete(shard);
    if (this.#restoring.size > 0 || !this.#waitsForRestores) return;
    this.#waitsForRestores = false;
    void this.#stores.pulse.beatAnew();
  }

  #goodbyeAgain(connection: Connection): void {
    if (!this.#draining) this.#goodbyes.add(connection, this.#config.disconnectGraceMs);
  }

  /** Redis is back, perhaps with older data: it hears of the last beat of everybody here before anybody is expired. */
  #onBack(shards: readonly number[]): void {
    for (const connection of this.#heldIn(shards)) this.#heartbeats.owe(connection);
    this.#heartbeats.catchUp(shards);
    this.#goodbyes.say();
  }

  /** Redis came back empty: everybody here who was heard of within a TTL is restored at once. */
  async #onLost(shards: readonly number[]): Promise<void> {
    const all = this.#heldIn(shards);
    this.#log.warn({ sessions: all.length, shards }, 'Redis has lost its data; restoring the sessions of this process');
    let next = 0;
    const one = async () => {
      for (let connection = all[next++]; connection; connection = all[next++]) await this.restore(connection);
    };
    await Promise.all(Array.from({ length: RESTORES_AT_ONCE }, one));
  }

  #heldIn(shards: readonly number[]): Connection[] {
    return [...this.#held.values()].filter((connection) => shards.includes(connection.shard));
  }
}
