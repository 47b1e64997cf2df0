import {
  type ClosedReason,
  type ConnectionState,
  type Detail,
  type IndicatorKind,
  type PresenceClient,
  PresenceError,
} from '../client/index.ts';
import { createIndicators } from '../client/indicators.ts';
import { createSignal, createSource } from '../client/observable.ts';
import { createPeople, type PresenceListener } from '../client/people.ts';
import type { Request } from '../client/wire.ts';
import { isValidId } from '../presence/ids.ts';
import { createFakeClock } from './fake-clock.ts';
import { createFakeRooms } from './fake-rooms.ts';
import type { FakeUser } from './fake-user.ts';
import { createFakeWorld } from './fake-world.ts';

export interface FakePresenceOptions {
  /** Who is signed in: `me` by default. */
  userId?: string | undefined;
  /** Who is there from the beginning. */
  users?: Readonly<Record<string, FakeUser>> | undefined;
  /** Where the clock stands: a `Date`, milliseconds since 1970 or a date as text. Default: when the fake is made. */
  now?: Date | number | string | undefined;
  /** As for the real client: `everyone` for components that use `useEveryone`. */
  audience?: 'watched' | 'everyone' | undefined;
}

/**
 * A client as `createPresenceClient` makes it, without a server: the test says what becomes of the others. All of it happens at once and
 * no timer runs: time passes by `advance` alone.
 */
export interface FakePresence extends PresenceClient {
  /** Says of a user what a test wants: a status, a last seen, a detail. What is left out stays; a status that changes moves the last seen. */
  set(userId: string, user: FakeUser): void;
  /** Users come online. */
  come(...userIds: string[]): void;
  /** Users go offline, last seen now; what they were typing ends. */
  leave(...userIds: string[]): void;
  /** A user types (or records) in a conversation: for 6 s of the clock, unless it is said again. */
  type(userId: string, conversationId: string, kind?: IndicatorKind): void;
  /** A user stops typing, as when the message is sent. */
  stopTyping(userId: string, conversationId: string, kind?: IndicatorKind): void;
  /** A user comes to a room, or says something new there. */
  enterRoom(userId: string, roomId: string, data?: Readonly<Record<string, unknown>>): void;
  /** A user leaves a room; who goes offline (`leave`) is in none. */
  leaveRoom(userId: string, roomId: string): void;
  /** The server puts the one who is signed in out of a room: kicked, or no longer allowed. */
  closeRoom(roomId: string, reason: 'kicked' | 'forbidden'): void;
  /** Tells that a friend came, for `onFriendActive`. */
  alert(userId: string): void;
  /** Lets time pass on the client's clock (`now()`), in milliseconds: indicators and what was set for a while end. */
  advance(ms: number): void;
  /** The connection is lost, or does not come about if it was not there: what others do is not heard of until `restore`. */
  lose(error?: PresenceError): void;
  /** The connection is there again, with a picture of what happened meanwhile. */
  restore(): void;
  /** The server ends it for good: signed out elsewhere, replaced, refused. */
  end(reason: ClosedReason, error?: PresenceError): void;
  /** What the application asks for next (`setStatus`, `setDetail`, `logout`, to join a conversation or a room) is refused with that code. */
  refuse(code: string, message?: string, retryAfterMs?: number): void;
}

/** Makes a fake for tests: hand it to `PresenceProvider` as `client`, or to whatever takes a `PresenceClient`. */
export function createFakePresence(options: FakePresenceOptions = {}): FakePresence {
  const tellsEveryone = options.audience === 'everyone';
  const me = options.userId ?? 'me';
  const clock = createFakeClock(new Date(options.now ?? Date.now()).getTime());
  const state = createSource<ConnectionState>({ status: 'closed', reason: 'not_started' });
  const people = createPeople();
  const errors = createSignal<PresenceError>();
  const friends = createSignal<{ userId: string; at: string }>();
  const holders = new Set<object>();
  const refusals: PresenceError[] = [];
  let userId: string | undefined;
  let isReachable = true;
  let endStatus = () => {};
  let endDetail = () => {};

  const isConnected = () => state.get().status === 'connected';
  const report = (error: PresenceError) => {
    if (errors.size > 0) errors.emit(error);
    else console.error(`rollcall: ${error.code}: ${error.message}`);
  };
  const world = createFakeWorld(clock, {
    changed(id) {
      // Nobody is told of their own changes, unless they watch themselves.
      const isTold = tellsEveryone ? id !== me : people.wants(id);
      if (isConnected() && isTold) people.events([world.told(id)]);
    },
    indicator(change) {
      if (isConnected() && change.userId !== me) indicators.changed(change);
    },
  });

  function refuseOrGoOn(): void {
    if (!isConnected()) throw new PresenceError('NOT_CONNECTED', 'Not connected to the server.');
    const refusal = refusals.shift();
    if (refusal) throw refusal;
  }

  const rooms = createFakeRooms({ now: clock.now, me, isHidden: () => world.isHidden(me) });

  /** What is asked for typing, and for rooms. */
  async function ask(event: string, { conversationId, ...asked }: { conversationId: string; roomId: string }) {
    refuseOrGoOn();
    if (event.endsWith('_room')) return rooms.ask(event, asked);
    if (event !== 'join_conversation') return {};
    for (const { userId: id, kind } of world.indicatorsIn(conversationId)) {
      if (id !== me) indicators.changed({ conversationId, userId: id, kind, active: true });
    }
    return {};
  }
  const request = ask as unknown as Request;
  const indicators = createIndicators(request, report);

  function appear(inactive: boolean): void {
    world.appear(me, inactive);
    rooms.hiddenChanged();
  }

  function connected(): void {
    userId = me;
    world.set(me, { status: 'active' });
    if (tellsEveryone) people.snapshot(world.active(), true);
    else people.snapshot(people.wanted().map(world.told));
    rooms.connected();
    state.set({
      status: 'connected',
      userId: me,
      sessionId: 'fake-session',
      heartbeatIntervalMs: 30_000,
      ttlMs: 60_000,
      clockOffsetMs: clock.now() - Date.now(),
    });
    indicators.connected();
  }

  function end(reason: ClosedReason, error?: PresenceError): void {
    if (state.get().status === 'closed') return;
    state.set({ status: 'closed', reason, error });
    indicators.lost();
    rooms.lost(true);
    world.set(me, { status: 'inactive' });
    if (error) report(error);
  }

  function close(): void {
    holders.clear();
    end('closed');
  }

  for (const [id, user] of Object.entries(options.users ?? {})) world.set(id, user);

  return {
    connect() {
      const holder = {};
      holders.add(holder);
      if (state.get().status === 'closed') {
        if (isReachable) connected();
        else state.set({ status: 'connecting' });
      }
      return () => {
        // Not at once: React's StrictMode lets go and takes hold again.
        if (holders.delete(holder)) queueMicrotask(() => holders.size === 0 && close());
      };
    },
    close,
    connection: state,
    now: clock.now,
    get userId() {
      return userId;
    },
    everyone: people.everyone,
    get: people.get,
    watch(userIds, listener) {
      const wanted = [...new Set(userIds)].filter((id) => {
        const valid = isValidId(id);
        if (!valid) report(new PresenceError('INVALID_USER_ID', `"${id}" can't be a user's id.`));
        return valid;
      });
      const own: PresenceListener = (changed) => listener(changed);
      const asked = tellsEveryone || !isConnected() ? [] : wanted.filter((id) => !people.get(id));
      // Known at once, so that a component shows it with its first effects; told a moment later, as an answer would come.
      people.snapshot(asked.map(world.told));
      people.add(wanted, own);
      let ended = false;
      if (asked.length > 0) {
        queueMicrotask(() => {
          const answered = asked.flatMap((id) => people.get(id) ?? []);
          if (!ended) listener(answered);
        });
      }
      return () => {
        ended = true;
        people.remove(wanted, own);
        if (!tellsEveryone) queueMicrotask(people.dropUnwatched);
      };
    },
    onChange: people.changed.subscribe,
    onFriendActive: friends.subscribe,
    onError: errors.subscribe,
    async setStatus(status, { expiresInSeconds } = {}) {
      refuseOrGoOn();
      endStatus();
      appear(status === 'inactive');
      if (expiresInSeconds && status === 'inactive') {
        endStatus = clock.after(expiresInSeconds * 1000, () => appear(false));
      }
      const { lastSeen } = world.told(me);
      return { detail: {}, idle: false, idleSince: null, ...people.get(me), userId: me, status, lastSeen };
    },
    async setDetail({ expiresInSeconds, ...detail }: Detail & { expiresInSeconds?: number | undefined }) {
      refuseOrGoOn();
      endDetail();
      world.set(me, { detail });
      if (expiresInSeconds) endDetail = clock.after(expiresInSeconds * 1000, () => world.set(me, { detail: {} }));
    },
    async logout() {
      refuseOrGoOn();
      endStatus();
      appear(false);
      end('logout');
    },
    setActivity() {},
    typing: (conversationId) => indicators.start(conversationId, 'typing'),
    recording: (conversationId) => indicators.start(conversationId, 'recording_audio'),
    stopIndicator: (conversationId, kind = 'typing') => indicators.stop(conversationId, kind),
    indicators: indicators.get,
    watchIndicators: indicators.watch,
    add: (make) => rooms.add(make({ request, report })),

    set: world.set,
    come(...userIds) {
      for (const id of userIds) world.set(id, { status: 'active', lastSeen: clock.now() });
    },
    leave(...userIds) {
      for (const id of userIds) {
        world.endIndicatorsOf(id);
        rooms.exitAll(id);
        world.set(id, { status: 'inactive', lastSeen: clock.now() });
      }
    },
    type: (id, conversationId, kind = 'typing') => world.begin(id, conversationId, kind),
    stopTyping: (id, conversationId, kind = 'typing') => world.endIndicator(id, conversationId, kind),
    enterRoom: rooms.enter,
    leaveRoom: (id, roomId) => rooms.exit(roomId, id),
    closeRoom: (roomId, reason) => rooms.close(roomId, reason),
    alert: (id) => friends.emit({ userId: id, at: new Date(clock.now()).toISOString() }),
    advance: clock.advance,
    lose(error) {
      isReachable = false;
      const { status } = state.get();
      if (status === 'closed') return;
      state.set({ status: status === 'connecting' ? 'connecting' : 'reconnecting', error });
      indicators.lost();
      rooms.lost(false);
    },
    restore() {
      isReachable = true;
      const { status } = state.get();
      if (status === 'connecting' || status === 'reconnecting') connected();
    },
    end,
    refuse(code, message = 'The test has this refused.', retryAfterMs) {
      refusals.push(new PresenceError(code, message, retryAfterMs));
    },
  };
}
