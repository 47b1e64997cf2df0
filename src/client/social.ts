import { createAsked } from './asked.ts';
import { PresenceError } from './index.ts';
import { createSignal, onceSoon } from './observable.ts';
import type { PresenceClient, PresenceClientOptions } from './presence-client.ts';
import type { Activity, Detail, DeviceKind, Observable, Presence } from './types.ts';

/** Who may see something of a user. */
export type Visibility = 'everyone' | 'friends' | 'nobody';
/** Whether a user is told when a friend becomes active; `once` falls back to `never` when sent. */
export type FriendAlert = 'never' | 'once' | 'always';

export interface Friend {
  userId: string;
  status: 'active' | 'inactive';
  /** ISO-8601, UTC. */
  lastSeen: string | null;
  /** Of an inactive friend who lets others know the last seen coarsely: in whole days of UTC, before today. */
  lastSeenWithin?: Presence['lastSeenWithin'];
  alert: FriendAlert;
}

export interface Settings {
  /** Who may see whether the user is active. */
  visibility: Visibility;
  /** Who of these may see when they were last seen. */
  lastSeenVisibility: Visibility;
  /** Whether they see it to the moment, or in whole days. */
  lastSeenPrecision: 'exact' | 'coarse';
  /** Whether friends who asked for it may be told. */
  alertFriends: boolean;
}

/** What one source says of the signed-in user beside the status: the user (`manual`), a calendar, a call server. */
export interface Source {
  source: string;
  availability: NonNullable<Detail['availability']> | null;
  text: string | null;
  emoji: string | null;
  /** ISO-8601, UTC. Null: until further notice. */
  until: string | null;
  /** The strongest: what others see, unless the user appears inactive. */
  shown: boolean;
}

/** A device by which a user is here. */
export interface Device {
  kind: DeviceKind;
  state: Activity;
}

/** What the signed-in user has chosen to show, and whom they block. */
export interface Privacy {
  readonly settings: Settings;
  readonly blocks: readonly string[];
}

/** What the signed-in user may ask for and change by HTTP. Promises reject with an error that has the server's `code`. */
export interface Social {
  friends(): Promise<Friend[]>;
  /** Ends a friendship, for both. To make one is the host application's. */
  unfriend(userId: string): Promise<void>;
  setAlert(userId: string, alert: FriendAlert): Promise<void>;
  blocks(): Promise<string[]>;
  block(userId: string): Promise<void>;
  unblock(userId: string): Promise<void>;
  /** By which devices these users are here, by their ids; none of who is not active, or may not be seen. */
  devices(userIds: readonly string[]): Promise<Map<string, readonly Device[]>>;
}

export interface SocialClient extends PresenceClient {
  readonly social: Social;
  readonly settings: {
    get(): Promise<Settings>;
    /** Changes those that are named. */
    change(settings: Partial<Settings>): Promise<Settings>;
  };
  readonly push: {
    /** Has this browser told of alerts while no page of the user is open. The user is asked, so call it on a click. */
    subscribe(registration: ServiceWorkerRegistration): Promise<void>;
    unsubscribe(registration: ServiceWorkerRegistration): Promise<void>;
    /** Whether this browser has a subscription, made with the key that the server has now; for which user, it does not know. Rejects where the server has no Web Push. */
    isSubscribed(registration: ServiceWorkerRegistration): Promise<boolean>;
  };
  /** Undefined until the server has said. Asked for when somebody begins to listen, and after each change from here. */
  readonly privacy: Observable<Privacy | undefined>;
  /** By which devices a user is here, none of who is not active or may not be seen; undefined until the server has said. Who listens watches the user, and the server is asked anew with whatever it tells of them. */
  devicesOf(userId: string): Observable<readonly Device[] | undefined>;
  /** What is said of the signed-in user, the strongest first; undefined until the server has said. Asked for as `privacy` is, and when the own presence changes. */
  readonly sources: Observable<readonly Source[] | undefined>;
}

/** Adds friends, blocks, settings and Web Push to a client; `options` are those that the client was made with. */
export function withSocial(
  client: PresenceClient,
  { url, getToken }: Pick<PresenceClientOptions, 'url' | 'getToken'>,
): SocialClient {
  const base = url
    .replace(/^ws/, 'http')
    .replace(/[?#].*$/, '')
    .replace(/\/+$/, '');
  let token: Promise<string> | undefined;

  async function send(method: string, path: string, body: unknown, isAgain = false): Promise<unknown> {
    token ??= Promise.resolve()
      .then(getToken)
      .then((given) => {
        if (given === null) throw new PresenceError('SIGNED_OUT', 'Nobody is signed in.');
        return given.trim();
      });
    const mine = token;
    const forget = () => {
      if (token === mine) token = undefined;
    };
    const bearer = await mine.catch((error) => {
      forget();
      throw error;
    });
    const own = `${base}/users/${encodeURIComponent(subjectOf(bearer))}`;
    const answer = await fetch((/^\/(push|users)\//.test(path) ? base : own) + path, {
      method,
      headers: {
        authorization: `Bearer ${bearer}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }).catch(() => {
      throw new PresenceError('NOT_CONNECTED', 'The server does not answer.');
    });
    if (answer.status === 204) return undefined;
    const said = await answer.json().catch(() => ({}));
    if (answer.ok) return said;
    if (answer.status === 401) {
      forget();
      if (!isAgain) return send(method, path, body, true);
    }
    const seconds = Number(answer.headers.get('retry-after') ?? Number.NaN);
    throw new PresenceError(
      said.code ?? 'INTERNAL_ERROR',
      said.message ?? `HTTP ${answer.status}`,
      seconds * 1000 || undefined,
    );
  }
  const ask = <T>(method: string, path: string, body?: unknown) => send(method, path, body) as Promise<T>;

  const settings = () => ask<Settings>('GET', '/settings');
  const blocks = async () =>
    (await ask<{ blocks: { userId: string }[] }>('GET', '/blocks')).blocks.map(({ userId }) => userId);
  async function devices(userIds: readonly string[]) {
    const { users } = await ask<{ users: { userId: string; devices: Device[] }[] }>(
      'POST',
      '/users/status/query?include=devices',
      { userIds },
    );
    return new Map(users.map(({ userId, devices }) => [userId, devices]));
  }
  const privacy = createAsked<Privacy>(async () => {
    const [chosen, blocked] = await Promise.all([settings(), blocks()]);
    return { settings: chosen, blocks: blocked };
  });
  const sources = createAsked(async () => (await ask<{ sources: Source[] }>('GET', '/detail')).sources);
  const lookSoon = onceSoon(() => void sources.look());
  let mine: Presence | undefined;
  // Also what a snapshot shows.
  client.everyone.subscribe(() => {
    const now = client.get(client.userId ?? '');
    if (now === mine) return;
    mine = now;
    lookSoon();
  });
  // An event may say what was known already: of two changes that came together it tells the last, and the answer was made between them.
  const heard = createSignal<string>();
  heard.subscribe((userId) => userId === client.userId && lookSoon());
  client.add(() => ({
    handshake: () => ({}),
    refused: () => false,
    ready(_, socket) {
      socket.on('user_status_change', ({ userId }) => heard.emit(userId));
      socket.on('user_status_changes', ({ changes }) => {
        for (const { userId } of changes) heard.emit(userId);
      });
    },
  }));
  const { setDetail } = client;
  /** Whoever listens sees what has become of it. */
  async function changing<T>(change: Promise<T>): Promise<T> {
    const result = await change;
    await privacy.look();
    return result;
  }

  const publicKey = async () => (await ask<{ publicKey: string }>('GET', '/push/public-key')).publicKey;
  const one = (list: 'friends' | 'blocks', userId: string) => `/${list}/${encodeURIComponent(userId)}`;
  const added = {
    social: {
      friends: async () => (await ask<{ friends: Friend[] }>('GET', '/friends')).friends,
      unfriend: (userId: string) => ask<void>('DELETE', one('friends', userId)),
      setAlert: (userId: string, alert: FriendAlert) => ask<void>('PATCH', one('friends', userId), { alert }),
      blocks,
      block: (userId: string) => changing(ask<void>('PUT', one('blocks', userId))),
      unblock: (userId: string) => changing(ask<void>('DELETE', one('blocks', userId))),
      devices,
    },
    settings: {
      get: settings,
      change: (settings: Partial<Settings>) => changing(ask<Settings>('PUT', '/settings', settings)),
    },
    push: {
      async subscribe({ pushManager }: ServiceWorkerRegistration) {
        const applicationServerKey = await publicKey();
        // One that was made with another key stands in the way.
        await (await pushManager.getSubscription())?.unsubscribe();
        const options = { userVisibleOnly: true, applicationServerKey };
        await ask('PUT', '/push-subscriptions', await pushManager.subscribe(options));
      },
      async unsubscribe({ pushManager }: ServiceWorkerRegistration) {
        const subscription = await pushManager.getSubscription();
        if (!subscription) return;
        await ask('DELETE', '/push-subscriptions', { endpoint: subscription.endpoint });
        await subscription.unsubscribe();
      },
      async isSubscribed({ pushManager }: ServiceWorkerRegistration) {
        const current = await publicKey();
        const key = (await pushManager.getSubscription())?.options.applicationServerKey;
        return !!key && base64url(new Uint8Array(key)) === current.replace(/=+$/, '');
      },
    },
    privacy,
    devicesOf(userId: string) {
      const asked = createAsked(async () => (await devices([userId])).get(userId));
      const lookSoon = onceSoon(() => void asked.look());
      return {
        get: asked.get,
        subscribe(listener: () => void) {
          const ends = [
            client.watch([userId], lookSoon),
            heard.subscribe((told) => told === userId && lookSoon()),
            asked.subscribe(listener),
          ];
          return () => {
            for (const end of ends) end();
          };
        },
      };
    },
    sources,
    async setDetail(detail: Parameters<PresenceClient['setDetail']>[0]) {
      await setDetail(detail);
      await sources.look();
    },
  };
  return Object.assign(client, added);
}

/** Whom a JWT names; checked by the server alone. */
function subjectOf(jwt: string): string {
  try {
    const text = atob((jwt.split('.')[1] ?? '').replace(/-/g, '+').replace(/_/g, '/'));
    const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    return String(JSON.parse(new TextDecoder().decode(bytes)).sub);
  } catch {
    throw new PresenceError('TOKEN_UNAVAILABLE', 'What getToken gave is no JWT.');
  }
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replace(/\+/g, '-')
    .replace(/\//g, '_')
    .replace(/=+$/, '');
}
