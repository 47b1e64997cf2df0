import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { Config } from '../../config/config.ts';
import { RollcallError } from '../../errors.ts';
import type { EventSnapshot } from '../../protocol/event-stream.ts';
import type { CloseReason, SessionClosed } from '../../protocol/socket.ts';
import { changedSince, compareIds, type DeliveryPlace } from '../../redis/delivery.ts';
import { shardOf } from '../../redis/keys.ts';
import type { Stores } from '../../stores.ts';
import { iso } from '../../usecases/payloads.ts';
import { orUnavailable } from '../../usecases/unavailable.ts';
import { type Caller, CLOCK_SKEW_MS } from '../auth/auth.ts';
import { viewerOf } from '../auth/rights.ts';
import type { Audience } from './audience.ts';
import { Frame } from './frames.ts';
import type { Rooms } from './rooms.ts';
import { NOBODY, type Picture, type StreamSeat, type Viewer } from './types.ts';

/** Proxies cut a silent connection after 55 s and more, some after 30. */
const SILENT_MS = 15_000;
const LOOK_EVERY_MS = 1000;
/** What may wait for one reader, in bytes, and for how long it may take nothing; as with sockets. */
const MAX_WAITING_BYTES = 1024 * 1024;
const MAX_STUCK_MS = 30_000;
const TOKEN_AHEAD_MS = 60_000;
const BACK_AFTER_MS = 1000;

export interface EventStreamDeps {
  config: Pick<Config, 'maxWatchedUsers'>;
  stores: Pick<Stores, 'redis' | 'keys'>;
  rooms: Rooms;
  audience: Audience;
  /** Up to where what is watched here has been told; null: something was missed and is still to be told. */
  place(): DeliveryPlace | null;
  delivered(shard: number): string;
  /** Whether a connection may stay, as with WebSockets. */
  mayStay(request: IncomingMessage): boolean;
  /** Rejects with what the caller is refused with right now. */
  requireOpen(caller: Caller): Promise<void>;
  slowReaderClosed(caller: Caller): void;
}

/** Who asks for a stream, of whom, and from where on. */
export interface StreamRequest {
  caller: Caller;
  userIds: string[];
  lastEventId: string | undefined;
  request: IncomingMessage;
}

/** Streams of events over HTTP: viewers like sockets, told by the same audience in the same order. */
export class EventStreams {
  readonly #deps: EventStreamDeps;
  readonly #open = new Set<Reader>();
  #looking: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(deps: EventStreamDeps) {
    this.#deps = deps;
  }

  /** How many are read. */
  get size(): number {
    return this.#open.size;
  }

  /** Begins a stream, whose first event is the picture. Throws what it is refused with. */
  async open({ caller, userIds, lastEventId, request }: StreamRequest): Promise<Readable> {
    const { audience, config, mayStay } = this.#deps;
    await this.#deps.requireOpen(caller);
    const wanted = [...new Set(userIds)];
    if (wanted.length > config.maxWatchedUsers) {
      const message = `At most ${config.maxWatchedUsers} users can be watched by one connection.`;
      throw new RollcallError('TOO_MANY_WATCHED', { message });
    }
    if (!mayStay(request)) {
      const message = 'Too many connections of this address are open.';
      throw new RollcallError('RATE_LIMITED', { message, retryAfterMs: BACK_AFTER_MS });
    }
    const name = nameOf(viewerOf(caller), wanted);
    const reader = new Reader(caller, name, this.#deps);
    const { viewer } = reader;
    const gone = () => this.#leave(reader);
    reader.body.once('close', gone);
    request.socket.once('close', gone);
    try {
      const picture = await audience.look(viewer, wanted);
      const changed = lastEventId === undefined ? undefined : await this.#changedSince(lastEventId, name, picture);
      if (this.#closed || request.socket.destroyed)
        throw new RollcallError('UNAVAILABLE', { retryAfterMs: BACK_AFTER_MS });
      this.#open.add(reader);
      this.#looking ??= setInterval(() => this.#look(), LOOK_EVERY_MS);
      if (changed) reader.goOn(picture, changed);
      else reader.begin(picture, changed === null);
      audience.show(picture);
      return reader.body;
    } catch (error) {
      audience.drop(viewer);
      throw error;
    } finally {
      if (!this.#open.has(reader)) request.socket.off('close', gone);
    }
  }

  /** Tells all readers that the process goes away, and when (ms) to come again; ends their streams, and takes no more. */
  close(afterMs: () => number): void {
    this.#closed = true;
    for (const reader of this.#open) reader.end('draining', afterMs());
  }

  /** Whom a reader has to be told of to go on where it was; null: it has to begin anew. */
  async #changedSince(lastEventId: string, name: string, picture: Picture): Promise<Set<string> | null> {
    const { stores, delivered } = this.#deps;
    const place = placeOf(lastEventId, name);
    const { snapshot } = picture;
    if (place === null || snapshot.pending.length > 0) return null;
    // Of whom the reader gets no version it drops what comes as an event; and that anything became of somebody whom it may not see is
    // not to be told from somebody who never came.
    if (snapshot.users.some(({ version }) => version === 0)) return null;
    // What the picture shows already, and the stream brings later, is told to its viewer no more. Found out before the stream is
    // asked, for it may come in between.
    const early = [...snapshot.positions].filter(([shard, position]) => compareIds(delivered(shard), position) < 0);
    const shards = new Set(early.map(([shard]) => shard));
    const changed = await orUnavailable(() => changedSince(stores.redis, stores.keys, place));
    for (const { userId } of snapshot.users) if (shards.has(shardOf(userId))) changed?.add(userId);
    return changed;
  }

  #leave(reader: Reader): void {
    reader.stop();
    this.#deps.audience.drop(reader.viewer);
    if (!this.#open.delete(reader)) return;
    this.#deps.rooms.leave(reader.viewer);
    if (this.#open.size > 0) return;
    clearInterval(this.#looking);
    this.#looking = undefined;
  }

  #look(): void {
    const now = performance.now();
    for (const reader of this.#open) {
      if (reader.isStuck(now)) {
        this.#deps.slowReaderClosed(reader.caller);
        reader.body.destroy();
      } else reader.keepAlive(now);
    }
  }
}

/** One stream and who reads it. */
class Reader implements StreamSeat {
  readonly conn = null;
  readonly data = { connection: null };
  readonly caller: Caller;
  readonly viewer: Viewer;
  readonly body = new Readable({ read: () => {} });
  readonly #name: string;
  readonly #place: EventStreamDeps['place'];
  #timer: NodeJS.Timeout | undefined;
  #over = false;
  #saidAt = performance.now();
  #stuckSince: number | null = null;

  constructor(caller: Caller, name: string, { place }: Pick<EventStreamDeps, 'place'>) {
    this.caller = caller;
    this.#name = name;
    this.#place = place;
    this.viewer = { socket: this, userId: viewerOf(caller), watching: NOBODY, batch: false, gathered: null };
  }

  get connected(): boolean {
    return !this.#over && !this.body.destroyed;
  }

  /** Says everything anew; `reset`: the reader hoped to go on. */
  begin({ snapshot }: Picture, reset: boolean): void {
    const { users, pending } = snapshot;
    const said: EventSnapshot = {
      users,
      ...(pending.length > 0 ? { pending } : {}),
      ...(reset ? { reset: true } : {}),
    };
    this.#say(`event: snapshot\nid: ${this.#id(pending.length > 0)}\ndata: ${JSON.stringify(said)}\n\n`);
    this.#watchToken();
  }

  /** Says what became of those who changed, as events. */
  goOn({ snapshot }: Picture, changed: ReadonlySet<string>): void {
    this.#say(': goes on\n\n');
    for (const user of snapshot.users) {
      if (changed.has(user.userId)) Frame.of('user_status_change', { ...user, detail: user.detail ?? {} }).sendTo(this);
    }
    this.#watchToken();
  }

  take(frame: Frame): void {
    this.#say(frame.linesAt(this.#id(false)));
  }

  /** Says why, and when to come again, and ends. */
  end(reason: CloseReason, afterMs: number): void {
    if (!this.connected) return;
    const closed: SessionClosed = { reason, reconnect: true, afterMs };
    this.#say(`retry: ${afterMs}\n`);
    this.take(Frame.of('session_closed', closed));
    this.stop();
    this.#over = true;
    this.body.push(null);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** Whether it takes nothing any more, or has too much waiting. */
  isStuck(now: number): boolean {
    const { readableLength } = this.body;
    if (readableLength === 0) {
      this.#stuckSince = null;
      return false;
    }
    this.#stuckSince ??= now;
    return readableLength > MAX_WAITING_BYTES || now - this.#stuckSince >= MAX_STUCK_MS;
  }

  /** Says nothing, so that proxies leave it, with the place from which to go on. */
  keepAlive(now: number): void {
    if (now - this.#saidAt >= SILENT_MS) this.#say(`:\nid: ${this.#id(false)}\n\n`);
  }

  #say(text: string): void {
    this.#saidAt = performance.now();
    if (this.connected) this.body.push(text);
  }

  /** Without one a reader that comes back begins anew. */
  #id(owed: boolean): string {
    const place = owed ? null : this.#place();
    return place === null ? '' : `${place.count}-${place.id}-${this.#name}`;
  }

  #watchToken(): void {
    const { expiresAt } = this.caller;
    // As with sockets: before the moment from which it opens nothing any more.
    const endsAt = expiresAt + CLOCK_SKEW_MS - BACK_AFTER_MS;
    const ahead = Math.min(TOKEN_AHEAD_MS, (expiresAt - Date.now()) / 3);
    this.#at(expiresAt - ahead, () => {
      this.take(Frame.of('token_expiring', { expiresAt: iso(expiresAt) }));
      this.#at(endsAt, () => this.end('token_expired', Math.round(BACK_AFTER_MS * (1 + Math.random()))));
    });
  }

  #at(at: number, then: () => void): void {
    const left = at - Date.now();
    this.#timer = setTimeout(
      () => (left > LONGEST_MS ? this.#at(at, then) : then()),
      Math.min(Math.max(left, 0), LONGEST_MS),
    );
  }
}

/** setTimeout takes no more. */
const LONGEST_MS = 2 ** 31 - 1;

/** Stands for who watches whom: who watches others cannot go on from there. */
function nameOf(viewerId: string | null, userIds: readonly string[]): string {
  const text = JSON.stringify([viewerId, [...userIds].sort()]);
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

function placeOf(lastEventId: string, name: string): DeliveryPlace | null {
  const [, count, id, whose] = /^(\d{1,15})-(\d{1,15}-\d{1,15})-([0-9a-f]{12})$/.exec(lastEventId) ?? [];
  return count === undefined || id === undefined || whose !== name ? null : { count: Number(count), id };
}
