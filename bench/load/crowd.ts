import { setTimeout as pause } from 'node:timers/promises';
import { textFrame } from './frames.ts';
import { LightClient, type LightOptions, Refusal } from './light-client.ts';
import { Beat, paced, pacedWork } from './pace.ts';
import { RoomsTold, type ToldOfRooms } from './rooms-told.ts';
import { signToken } from './tokens.ts';
import { type Change, type CountFrom, type Told, ToldCount } from './told.ts';

const HEARTBEAT = textFrame('42["heartbeat"]');
const NOTE_EVERY_MS = 10;
const RETRY_MS = 200;

/** `<prefix>0` and so on. */
export interface Users {
  prefix: string;
  from?: number;
  count: number;
}

export interface Arrival {
  users: Users;
  url: string;
  /** null: the server wants no token. */
  secret: string | null;
  readyOn: LightOptions['readyOn'];
  /** Beside the token. */
  auth?: object;
  scope?: string;
  perSecond?: number;
  atOnce?: number;
  /** Tries again until let in; a server that says when is believed. */
  patient?: boolean;
  localAddress?: string;
}

/** Clients of one load process. */
export class Crowd {
  readonly #clients = new Map<string, LightClient>();
  #told = new ToldCount(null, '');
  #ofRooms = new RoomsTold();
  #beat: Beat | undefined;
  #lost = 0;
  #returned = { firstAt: 0, lastAt: 0, back: 0, attempts: 0, failed: 0 };
  #onLost: (userId: string) => void = () => {};

  /** Resolves when all are let in: how long that took, and how many attempts. */
  async connect(arrival: Arrival): Promise<{ tookMs: number; attempts: number }> {
    const { users, perSecond = 1e9, atOnce = 50 } = arrival;
    const ids = idsOf(users);
    const from = performance.now();
    let attempts = 0;
    await pacedWork(ids.length, { perSecond, atOnce }, async (n) => {
      attempts += await this.#connectOne(ids[n] ?? '', arrival);
    });
    return { tookMs: performance.now() - from, attempts };
  }

  /** Whoever loses the connection from now on comes back at once; see `returned`. */
  returnAs(arrival: Arrival): void {
    const returned = { firstAt: 0, lastAt: 0, back: 0, attempts: 0, failed: 0 };
    this.#returned = returned;
    const wanted = new Set(idsOf(arrival.users));
    this.#onLost = (userId) => {
      if (!wanted.has(userId)) return;
      returned.firstAt ||= performance.now();
      this.#connectOne(userId, arrival).then(
        (attempts) => {
          returned.back++;
          returned.attempts += attempts;
          returned.lastAt = performance.now();
        },
        () => {
          returned.failed++;
        },
      );
    };
  }

  /** Resolves when so many have come back, or the time is over: how long after the first loss the last of them was back. */
  async returned(count: number, limitMs: number): Promise<{ tookMs: number; back: number; attempts: number }> {
    const until = performance.now() + limitMs;
    while (this.#returned.back + this.#returned.failed < count && performance.now() < until) await pause(NOTE_EVERY_MS);
    const { firstAt, lastAt, back, attempts } = this.#returned;
    return { tookMs: lastAt - firstAt, back, attempts };
  }

  /** Each of `watchers` watches all of `watched`; resolves when the server has said so. */
  async watch(watchers: Users, watched: Users): Promise<void> {
    const ids = idsOf(watched);
    const watching = idsOf(watchers);
    await pacedWork(watching.length, { perSecond: 1e9, atOnce: 10 }, async (n) => {
      for (let at = 0; at < ids.length; at += 1000) {
        await this.#clients.get(watching[n] ?? '')?.ask('watch', { userIds: ids.slice(at, at + 1000) });
      }
    });
  }

  /** Each of `users` in turn says this status, until so many have been said and answered. */
  async say(users: Users, status: Change['status'], count: number, perSecond: number): Promise<void> {
    const ids = idsOf(users);
    await pacedWork(count, { perSecond, atOnce: 50 }, async (n) => {
      const answer = await this.#clients.get(ids[n % ids.length] ?? '')?.ask('set_status', { status });
      if (!(answer as { ok?: boolean } | undefined)?.ok) throw new Error(`${status} was not taken`);
    });
  }

  /** The n-th user comes to, looks at or leaves the n-th room, from the first again where there are fewer; resolves when all was answered. */
  async rooms(
    event: 'join_room' | 'watch_room' | 'leave_room',
    users: Users,
    rooms: Users,
    perSecond = 1e9,
  ): Promise<void> {
    const [ids, roomIds] = [idsOf(users), idsOf(rooms)];
    await pacedWork(ids.length, { perSecond, atOnce: 100 }, async (n) => {
      await this.#ask(ids[n] ?? '', event, { roomId: roomIds[n % roomIds.length] ?? '' });
    });
  }

  /** So many updates, of each user in turn in a room as for `rooms`, that name the moment; resolves when all were taken. */
  async updateRooms(users: Users, rooms: Users, count: number, perSecond: number): Promise<void> {
    const [ids, roomIds] = [idsOf(users), idsOf(rooms)];
    await pacedWork(count, { perSecond, atOnce: 100 }, async (n) => {
      const roomId = roomIds[(n % ids.length) % roomIds.length] ?? '';
      await this.#ask(ids[n % ids.length] ?? '', 'update_room', { roomId, data: { at: Date.now() } });
    });
  }

  async #ask(userId: string, event: string, payload: object): Promise<void> {
    const answer = (await this.#clients.get(userId)?.ask(event, payload)) as { ok?: boolean } | undefined;
    if (!answer?.ok) throw new Error(`${event} was not taken: ${JSON.stringify(answer)}`);
  }

  /** Everybody here beats once in `everyMs`, evenly spread, for so long; returns how many beats that were. */
  async beat(everyMs: number, seconds: number): Promise<number> {
    const clients = [...this.#clients.values()];
    const count = Math.round((seconds * 1000 * clients.length) / everyMs);
    await paced(count, (clients.length * 1000) / everyMs, (n) => clients[n % clients.length]?.write(HEARTBEAT));
    return count;
  }

  /** The same, until `stopBeating`. */
  keepBeating(everyMs: number): void {
    this.#beat?.stop();
    const clients = [...this.#clients.values()];
    this.#beat = new Beat(
      () => clients.length,
      everyMs,
      (n) => clients[n]?.write(HEARTBEAT),
    );
  }

  stopBeating(): number {
    return this.#beat?.stop() ?? 0;
  }

  /** They leave in order. */
  async leave(users: Users, perSecond = 1e9): Promise<void> {
    const ids = idsOf(users);
    await paced(ids.length, perSecond, (n) => {
      this.#clients.get(ids[n] ?? '')?.leave();
      this.#clients.delete(ids[n] ?? '');
    });
  }

  /** From now on counts anew what is told. */
  listen(from: CountFrom, prefix = ''): void {
    this.#told = new ToldCount(from, prefix);
    this.#ofRooms = new RoomsTold();
  }

  /** Resolves when so many comings or changes in rooms were told, or the time is over. */
  async untilToldOfRooms(what: 'joined' | 'changed', count: number, limitMs: number): Promise<ToldOfRooms> {
    const until = performance.now() + limitMs;
    while (this.#ofRooms.figures()[what] < count && performance.now() < until) await pause(NOTE_EVERY_MS);
    return this.#ofRooms.figures();
  }

  told(): Told {
    return this.#told.figures();
  }

  /** Resolves when so many changes were told, or the time is over. */
  async untilTold(changes: number, limitMs: number): Promise<Told> {
    const until = performance.now() + limitMs;
    while (this.#told.changes < changes && performance.now() < until) await pause(NOTE_EVERY_MS);
    return this.told();
  }

  /** Resolves when nothing more was told for so long, or the time is over. */
  async untilQuiet(quietMs: number, limitMs: number): Promise<Told> {
    const until = performance.now() + limitMs;
    for (let last = -1; this.#told.changes !== last && performance.now() < until; await pause(quietMs)) {
      last = this.#told.changes;
    }
    return this.told();
  }

  /** How many connections were lost since the last question. */
  lost(): number {
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }

  /** Returns after how many attempts the user was let in. */
  async #connectOne(
    userId: string,
    { url, secret, scope, readyOn, auth, patient, localAddress }: Arrival,
  ): Promise<number> {
    const token = secret === null ? {} : { token: signToken(secret, userId, scope) };
    const client = new LightClient({
      event: (packet) => void (this.#ofRooms.take(packet) || this.#told.take(packet)),
      lost: () => {
        this.#lost++;
        this.#onLost(userId);
      },
    });
    this.#clients.set(userId, client);
    const options = { url, localAddress, readyOn, auth: { ...token, deviceId: 'bench', watch: [], ...auth } };
    for (let attempts = 1; ; attempts++) {
      try {
        await client.connect(options);
        return attempts;
      } catch (error) {
        if (!patient || !(error instanceof Refusal)) throw error;
        await pause(error.retryAfterMs ?? RETRY_MS);
      }
    }
  }
}

export function idsOf({ prefix, from = 0, count }: Users): string[] {
  return Array.from({ length: count }, (_, n) => `${prefix}${from + n}`);
}
