import type { io } from 'socket.io-client';
import { isValidId } from '../presence/ids.ts';
import type { FriendActive, PROTOCOL, StatusChange } from '../protocol/socket.ts';
import { createConnection } from './connection.ts';
import { createHeartbeat } from './heartbeat.ts';
import { createIndicators } from './indicators.ts';
import { createSignal } from './observable.ts';
import { watchPage } from './page.ts';
import { createPeople, type PresenceListener } from './people.ts';
import { PresenceError } from './presence-error.ts';
import type { GetToken } from './tokens.ts';
import type {
  Activity,
  ConnectionState,
  Detail,
  DeviceKind,
  Indicator,
  IndicatorKind,
  Observable,
  Presence,
  PresenceChange,
} from './types.ts';
import { createWatching } from './watching.ts';
import type { Part, Wire } from './wire.ts';

export interface PresenceClientOptions {
  /** Of the Rollcall server, for example `https://presence.example.com`. */
  url: string;
  /** Asks your own backend for a token. Called again before the token expires and when the server refuses it, once in a second at most. Null, or a `SignedOutError`: nobody is signed in, which closes the client. */
  getToken: GetToken;
  /** Names this device for good: its session is found again, and a second connection with the same id replaces this one. Default: a new one for every client, so that tabs don't replace each other. */
  deviceId?: string | undefined;
  device?: { kind: DeviceKind; name?: string | undefined } | undefined;
  /** For how long the server takes this client for present after a heartbeat: 3 to 600 seconds. Default: as the server is set up. */
  ttlSeconds?: number | undefined;
  /** Appear inactive from the first moment, so that nobody hears of the coming; ended by `setStatus('active')`. */
  appear?: 'inactive' | undefined;
  /** Several changes in one message where many come at once. Default true. */
  batch?: boolean | undefined;
  /** `watched` (default): told of the users passed to `watch`. `everyone`: of all whom the server lets us see, in `everyone`; for small deployments with `AUDIENCE=everyone`. */
  audience?: 'watched' | 'everyone' | undefined;
  /** In a browser: no input for so long means idle. Default 5 minutes; false: never. Where the user has allowed `IdleDetector` it is input to any program that counts. */
  idleAfterMs?: number | false | undefined;
  /** Another build of socket.io-client's `io`. */
  io?: typeof io | undefined;
}

export interface PresenceClient {
  /** Starts, where it has not. The returned function lets go; when the last holder has let go, the client closes. */
  connect(): () => void;
  /** Says goodbye and stays away until `connect()`. */
  close(): void;
  readonly connection: Observable<ConnectionState>;
  /** The server's time in milliseconds since 1970, whatever this device's clock says; that clock's before the first connection. */
  now(): number;
  /** Whom the token named when we last connected. */
  readonly userId: string | undefined;
  /** With `audience: 'everyone'`: all users heard of; otherwise those watched. */
  readonly everyone: Observable<readonly Presence[]>;
  /** A user as the server told last: one object until something changes; undefined while it has not told. */
  get(userId: string): Presence | undefined;
  /** Calls back with what has changed, once for all that came in one message. The returned function ends it. */
  watch(userIds: Iterable<string>, listener: PresenceListener): () => void;
  /** Every change that the server tells (not: what a snapshot after a gap shows). */
  onChange(listener: (changes: readonly PresenceChange[]) => void): () => void;
  onFriendActive(listener: (friend: { userId: string; at: string }) => void): () => void;
  /** What went wrong without anybody waiting for it. Without a listener it goes to the console. */
  onError(listener: (error: PresenceError) => void): () => void;
  /** `inactive` = appear inactive, until `active` is set or the time is over. */
  setStatus(status: 'active' | 'inactive', options?: { expiresInSeconds?: number | undefined }): Promise<Presence>;
  /** Sets what others see beside the status, all of it: a field that is not named is shown no longer, and `{}` shows nothing. */
  setDetail(detail: Detail & { expiresInSeconds?: number | undefined }): Promise<void>;
  /** Signs this session out, or all of the user's. */
  logout(options?: { everywhere?: boolean | undefined }): Promise<void>;
  /** Overrides what was noticed of the user's input: for React Native's `AppState`, or a button. `auto` ends it. */
  setActivity(activity: Activity | 'auto'): void;
  /** Call it at every key stroke. */
  typing(conversationId: string): void;
  recording(conversationId: string): void;
  /** When the message is sent; otherwise the indicator ends by itself after 6 s. */
  stopIndicator(conversationId: string, kind?: IndicatorKind): void;
  indicators(conversationId: string): readonly Indicator[];
  watchIndicators(conversationId: string, listener: () => void): () => void;
  /** @internal Adds what `rollcall/client/rooms` is. */
  add(make: (wire: Wire) => Part): void;
}

const DEFAULT_IDLE_AFTER_MS = 300_000;
/** As long as a timer can be. */
const NEVER_MS = 2e9;

/**
 * Makes a client. Nothing is connected before `connect()`, so it may be called anywhere, also while rendering on a
 * server.
 */
export function createPresenceClient(options: PresenceClientOptions): PresenceClient {
  const tellsEveryone = options.audience === 'everyone';
  const deviceId = options.deviceId ?? `${Math.random()}`;
  const errors = createSignal<PresenceError>();
  const friends = createSignal<FriendActive>();
  const people = createPeople();
  let asked: string[] = [];
  let userId: string | undefined;
  const holders = new Set<object>();
  const parts: Part[] = [];
  let greet: ((part: Part) => void) | undefined;
  let noticed: Activity = 'active';
  let chosen: Activity | 'auto' = 'auto';
  let leavePage: (() => void) | undefined;
  let wasUp = false;

  const report = (error: PresenceError) => {
    if (errors.size > 0) errors.emit(error);
    else console.error('rollcall:', error);
  };
  const connection = createConnection(options, {
    handshake() {
      asked = watching.forHandshake();
      const protocol: typeof PROTOCOL = 1;
      const { device, ttlSeconds, batch = true, appear } = options;
      const own = {
        protocol,
        deviceId,
        device,
        ttlSeconds,
        batch,
        // Chosen once: to come back is to go on.
        appear: userId ? undefined : appear,
        watch: tellsEveryone ? undefined : asked,
      };
      return Object.assign(own, ...parts.map((part) => part.handshake()));
    },
    ready(ready, socket) {
      userId = ready.userId;
      socket.on('user_status_change', (change) => events([change]));
      socket.on('user_status_changes', ({ changes }) => events(changes));
      socket.on('indicator_change', indicators.changed);
      socket.on('friend_active', friends.emit);
      if (tellsEveryone) people.snapshot(ready.users ?? [], true);
      else watching.connected(asked, ready.users ?? []);
      greet = (part) => part.ready(ready, socket);
      parts.forEach(greet);
    },
    connected({ sessionId, heartbeatIntervalMs }) {
      if (sessionId !== null) heartbeat.start(heartbeatIntervalMs);
      if (!tellsEveryone) watching.flush();
      indicators.connected();
    },
    lost() {
      greet = undefined;
      heartbeat.stop();
      watching.lost();
      indicators.lost();
    },
    ping: () => heartbeat.ping(),
    refused(error) {
      watching.refused(error);
      return parts.some((part) => part.refused(error));
    },
    report,
  });
  const { request } = connection;
  const heartbeat = createHeartbeat((state) => request('heartbeat', { state }));
  const indicators = createIndicators(request, report);
  const watching = createWatching(
    people,
    { connected: () => connection.state.get().status === 'connected' && !tellsEveryone, request },
    report,
  );

  const { events }: { events(changes: readonly StatusChange[]): void } = tellsEveryone ? people : watching;

  function applyActivity(): void {
    heartbeat.setActivity(chosen === 'auto' ? noticed : chosen);
  }

  function start(): void {
    leavePage ??= watchPage((options.idleAfterMs ?? DEFAULT_IDLE_AFTER_MS) || NEVER_MS, {
      activity(activity) {
        noticed = activity;
        applyActivity();
      },
      woke() {
        heartbeat.soon();
        connection.wake();
      },
      left() {
        wasUp = connection.state.get().status !== 'closed';
        connection.stop('closed');
      },
      stayed() {
        if (wasUp) connection.start();
        wasUp = false;
      },
    });
    connection.start();
  }

  function close(): void {
    holders.clear();
    leavePage?.();
    leavePage = undefined;
    connection.stop('closed');
  }

  return {
    connect() {
      const holder = {};
      holders.add(holder);
      start();
      return () => {
        // Not at once: React's StrictMode lets go and takes hold again.
        if (holders.delete(holder)) setTimeout(() => holders.size === 0 && close());
      };
    },
    close,
    connection: connection.state,
    now: connection.now,
    get userId() {
      return userId;
    },
    everyone: people.everyone,
    get: people.get,
    watch(userIds, listener) {
      const wanted = [...new Set(userIds)].filter((userId) => {
        const valid = isValidId(userId);
        if (!valid) report(new PresenceError('INVALID_USER_ID', `"${userId}" can't be a user's id.`));
        return valid;
      });
      // An object of its own, so that one function may watch twice.
      const own: PresenceListener = (changed) => listener(changed);
      people.add(wanted, own);
      if (!tellsEveryone) watching.flushSoon();
      return () => {
        people.remove(wanted, own);
        if (!tellsEveryone) watching.flushSoon();
      };
    },
    onChange: people.changed.subscribe,
    onFriendActive: friends.subscribe,
    onError: errors.subscribe,
    async setStatus(status, options) {
      const { userId, lastSeen } = await request('set_status', { ...options, status });
      return { detail: {}, idle: false, idleSince: null, ...people.get(userId), userId, status, lastSeen };
    },
    async setDetail(detail) {
      await request('set_detail', detail);
    },
    async logout(options = {}) {
      await request('logout', options);
      connection.stop('logout');
    },
    setActivity(activity) {
      chosen = activity;
      applyActivity();
    },
    typing: (conversationId) => indicators.start(conversationId, 'typing'),
    recording: (conversationId) => indicators.start(conversationId, 'recording_audio'),
    stopIndicator: (conversationId, kind = 'typing') => indicators.stop(conversationId, kind),
    indicators: indicators.get,
    watchIndicators: indicators.watch,
    add(make) {
      const part = make({ request, report });
      parts.push(part);
      greet?.(part);
    },
  };
}
