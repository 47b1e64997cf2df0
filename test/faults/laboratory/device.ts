import { TestClient, tokenFor } from '../../support/client.ts';
import { Link } from '../../support/link.ts';
import type { Member } from './member.ts';
import type { End, Life, Span } from './spans.ts';
import { TTL_MS, type World } from './world.ts';

/** One connection over a link of its own. */
interface Line {
  number: number;
  web: Member;
  link: Link;
  client: TestClient;
  pending: Set<Life>;
  openedAt: number;
  /** When it knew that it was let in. */
  letInAt: number;
  /** The rooms it is in, by what was answered. */
  rooms: Set<string>;
  /** What it says from then on counts no more. */
  voidFrom: number;
}

const PATIENCE_MS = 2500;
const BEAT_MS = 700;
let lines = 0;

/**
 * One device of a person: it connects, beats, and comes back by itself wherever a web lets it in, as clients do, and
 * keeps the record of what it said and when.
 */
export class Device {
  readonly userId: string;
  readonly deviceId: string;
  /** For how long a sign of life of it holds. */
  readonly ttlMs: number;
  readonly #ownTtl: { ttlSeconds?: number };
  readonly lives: Life[] = [];
  readonly ends: End[] = [];
  /** Whether somebody is before it, as it said and was answered. */
  readonly words: (Span & { state: 'active' | 'idle' })[] = [];
  /** The rooms that it wants to be in. */
  readonly rooms = new Set<string>();
  /** From when it knew that it was in a room until it wanted to be there no more. */
  readonly stays: (Span & { roomId: string })[] = [];
  /** From when it asked to be in a room until it was answered that it is there no more; Infinity: it was not. */
  readonly visits: (Span & { roomId: string })[] = [];
  /** Whether it wants to be connected. */
  wanted = false;
  readonly #world: World;
  readonly #old: Line[] = [];
  #line: Line | null = null;
  #preferred = 0;
  #state: 'active' | 'idle' | undefined;
  #silent = false;
  #busy: Promise<void> | null = null;
  #timer: NodeJS.Timeout | undefined;

  /** `ownTtlMs` null: as configured. */
  constructor(world: World, userId: string, deviceId: string, ownTtlMs: number | null) {
    this.#world = world;
    this.ttlMs = ownTtlMs ?? TTL_MS;
    this.#ownTtl = ownTtlMs === null ? {} : { ttlSeconds: ownTtlMs / 1000 };
    this.userId = userId;
    this.deviceId = deviceId;
  }

  /** What it says of itself with every beat. */
  get state(): 'active' | 'idle' {
    return this.#state ?? 'active';
  }

  get connected(): boolean {
    return this.#line !== null && !this.#silent;
  }

  /** Connected, and heard a moment ago. */
  get alive(): boolean {
    const last = this.lives.findLast(({ sure }) => sure)?.to ?? 0;
    return this.connected && this.wanted && Date.now() - last < 2 * BEAT_MS + 300;
  }

  /** When it began to open its connection; Infinity: it has none. */
  get openedAt(): number {
    return this.#line?.openedAt ?? Number.POSITIVE_INFINITY;
  }

  /** Of its connection. */
  get sessionId(): string | null {
    return this.#line?.client.ready?.sessionId ?? null;
  }

  /** Comes (where it is not here), preferably to this web. Resolves after the first attempt. */
  async come(web: number): Promise<void> {
    this.wanted = true;
    this.#preferred = web;
    if (this.#silent) this.#leaveLineBehind();
    this.#timer ??= setInterval(() => void this.tick(), BEAT_MS);
    await this.tick();
  }

  /** The same device opens another connection while the old one is still there, or has gone unnoticed. */
  async moveTo(web: number): Promise<void> {
    if (!this.wanted) return this.come(web);
    await this.#busy;
    this.#preferred = web;
    this.#leaveLineBehind();
    await this.tick();
  }

  be(state: 'active' | 'idle'): void {
    this.#state = state;
  }

  /** Is in a room from now on, as soon as it is connected. */
  async joinRoom(roomId: string): Promise<void> {
    this.rooms.add(roomId);
    const isOpen = this.visits.some((visit) => visit.roomId === roomId && visit.to === Number.POSITIVE_INFINITY);
    if (!isOpen) this.visits.push({ roomId, from: Date.now(), to: Number.POSITIVE_INFINITY });
    if (this.#line && !this.#silent) await this.#sayRooms(this.#line);
  }

  /** Is in a room no more. */
  async leaveRoom(roomId: string): Promise<void> {
    this.rooms.delete(roomId);
    for (const stay of this.stays) if (stay.roomId === roomId) stay.to = Math.min(stay.to, Date.now());
    if (this.#line && !this.#silent) await this.#sayRooms(this.#line);
  }

  /** A goodbye. */
  async leave(): Promise<void> {
    this.wanted = false;
    await this.#busy;
    const line = this.#line;
    if (!line || this.#silent) return;
    this.#line = null;
    const end: End = { kind: 'close', from: Date.now(), to: Date.now(), sure: true };
    this.ends.push(end);
    line.client.leave();
    await new Promise((resolve) => setTimeout(resolve, 20));
    this.#close(line);
    end.to = Date.now();
  }

  /** The network goes without a word; both sides keep a connection that carries nothing. */
  async goSilent(): Promise<void> {
    this.wanted = false;
    // Who is being let in at this moment goes silent once they are.
    await this.#busy;
    if (this.wanted) return;
    if (!this.#line) return;
    this.#silent = true;
    this.#line.link.cut();
  }

  /** The connection breaks, and both sides see it. The device comes back by itself. */
  breakLine(): void {
    if (!this.#silent) this.#line?.link.break();
  }

  /** The connections it left behind break: only their webs see it. */
  breakOldLines(): void {
    for (const { link } of this.#old) link.break();
  }

  /** Signs this session out. */
  async logOut(): Promise<boolean> {
    await this.#busy;
    const line = this.#line;
    this.wanted = false;
    if (!line || this.#silent) return false;
    const end: End = { kind: 'logout', from: Date.now(), to: Number.POSITIVE_INFINITY, sure: false };
    this.ends.push(end);
    const answer = await within(line.client.socket.emitWithAck('logout', undefined), PATIENCE_MS);
    end.to = Date.now();
    end.sure = answer?.ok === true;
    if (end.sure) line.voidFrom = end.from;
    return end.sure;
  }

  /** Signed out from elsewhere; this device only learns of it when it is told, and goes on until then. */
  async signedOut(end: End): Promise<void> {
    this.ends.push(end);
    // Who came while the request was on its way may have come after it.
    if (this.#line && end.sure && this.#line.letInAt < end.from) this.#line.voidFrom = end.from;
    await this.#busy;
    if (end.sure && this.connected && this.#line?.voidFrom === Number.POSITIVE_INFINITY) this.wanted = true;
  }

  async stop(): Promise<void> {
    this.wanted = false;
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#busy;
    if (this.#line) this.#close(this.#line);
    for (const line of this.#old) this.#close(line);
  }

  /** Beats, or tries to connect. */
  async tick(): Promise<void> {
    this.#busy ??= this.#act().finally(() => {
      this.#busy = null;
    });
    await this.#busy;
  }

  async #act(): Promise<void> {
    if (this.#silent) return;
    if (this.#line) {
      void this.#beat(this.#line);
      void this.#sayRooms(this.#line);
    } else if (this.wanted) await this.#connect();
  }

  async #beat(line: Line): Promise<void> {
    const life = this.#life(line);
    const { state } = this;
    const answer = await within(line.client.beat(this.#state), 60_000);
    if (answer?.ok) this.words.push({ state, from: life.from, to: Date.now() });
    if (answer?.ok === false && answer.error.code === 'HEARTBEAT_TOO_SOON')
      this.lives.splice(this.lives.indexOf(life), 1);
    else if (answer?.ok) this.#settle(line, life, true);
  }

  /** Says in which rooms it is, where that differs from what was answered. */
  async #sayRooms({ client: { socket }, rooms }: Line): Promise<void> {
    // An answer that comes late counts all the same.
    const joining = [...this.rooms.difference(rooms)].map(async (roomId) => {
      const answer = await socket.emitWithAck('join_room', { roomId });
      if (answer.ok) this.#isIn(rooms, roomId);
    });
    await within(Promise.all(joining), PATIENCE_MS);
    const leaving = [...rooms.difference(this.rooms)].map(async (roomId) => {
      const answer = await socket.emitWithAck('leave_room', { roomId });
      if (!answer.ok || this.rooms.has(roomId)) return;
      rooms.delete(roomId);
      this.#hasLeft(roomId);
    });
    await within(Promise.all(leaving), PATIENCE_MS);
  }

  #hasLeft(roomId: string): void {
    for (const visit of this.visits) if (visit.roomId === roomId) visit.to = Math.min(visit.to, Date.now());
  }

  #isIn(rooms: Set<string>, roomId: string): void {
    rooms.add(roomId);
    const known = this.stays.some((stay) => stay.roomId === roomId && stay.to === Number.POSITIVE_INFINITY);
    if (!known && this.rooms.has(roomId)) this.stays.push({ roomId, from: Date.now(), to: Number.POSITIVE_INFINITY });
  }

  async #connect(): Promise<void> {
    const { webs } = this.#world;
    const open = webs.filter((web) => web.running);
    const web = open[this.#preferred % Math.max(1, open.length)];
    if (!web) return;
    const link = await Link.to(web.port);
    const named = [...this.rooms];
    const auth = {
      token: await tokenFor(this.userId, { rooms: ['*'] }),
      deviceId: this.deviceId,
      rooms: named.map((roomId) => ({ roomId })),
      ...this.#ownTtl,
    };
    const client = new TestClient(`http://127.0.0.1:${link.port}`, auth);
    const line: Line = {
      ...{ number: ++lines, web, link, client },
      ...{
        pending: new Set<Life>(),
        openedAt: Date.now(),
        letInAt: Number.POSITIVE_INFINITY,
        rooms: new Set<string>(),
        voidFrom: Number.POSITIVE_INFINITY,
      },
    };
    const life = this.#life(line);
    client.socket.on('disconnect', () => this.#lost(line));
    const outcome = await within(
      client.welcomed().then(
        () => 'let in',
        () => 'refused',
      ),
      PATIENCE_MS,
    );
    if (outcome === 'let in' && client.socket.connected) {
      line.letInAt = Date.now();
      this.#line = line;
      this.#silent = false;
      this.#settle(line, life, true);
      for (const roomId of named) this.#isIn(line.rooms, roomId);
      // Where it names no more what it was in before, it is there no more.
      const unnamed = this.visits.filter(({ roomId }) => !named.includes(roomId) && !this.rooms.has(roomId));
      for (const { roomId } of unnamed) this.#hasLeft(roomId);
      return;
    }
    // Who gives up says goodbye to whoever was about to let them in.
    if (outcome === null) this.ends.push({ kind: 'close', from: Date.now(), to: Date.now(), sure: false });
    // Wherever it was refused or kept waiting, the next attempt goes elsewhere.
    this.#preferred++;
    this.#close(line);
  }

  #life(line: Line): Life {
    const life: Life = {
      ...{ from: Date.now(), to: Number.POSITIVE_INFINITY },
      ...{ sure: false, web: line.web.name, line: line.number },
    };
    if (life.from < line.voidFrom) this.lives.push(life);
    line.pending.add(life);
    return life;
  }

  #settle(line: Line, life: Life, sure: boolean): void {
    line.pending.delete(life);
    life.to = Date.now();
    life.sure = sure;
  }

  /** Left behind as it is: the server has not heard that its client is elsewhere. */
  #leaveLineBehind(): void {
    if (this.#line) this.#old.push(this.#line);
    this.#line = null;
    this.#silent = false;
  }

  /** The connection is gone. Where its web did not die, that is a goodbye, unless the web drained. */
  #lost(line: Line): void {
    for (const life of [...line.pending]) this.#settle(line, life, false);
    if (this.#line !== line) return;
    this.#line = null;
    this.#silent = false;
    const now = Date.now();
    const told = line.client.closed[0];
    if (told && !told.reconnect) this.wanted = false;
    const draining = told?.reason === 'draining' || line.web.drains.some((at) => now - at < 30_000 && at <= now);
    const killed = line.web.kills.some((at) => now - at < 3000);
    if (draining) this.ends.push({ kind: 'drain', from: line.web.drains.at(-1) ?? now, to: now, sure: true });
    else if (!killed) this.ends.push({ kind: 'close', from: now - 50, to: now, sure: true });
    this.#close(line);
  }

  #close(line: Line): void {
    line.client.leave();
    void line.link.close();
    for (const life of [...line.pending]) this.#settle(line, life, false);
  }
}

export async function within<T>(promise: Promise<T>, ms: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, ms, null);
  });
  return Promise.race([promise.catch(() => null), late]).finally(() => clearTimeout(timer));
}
