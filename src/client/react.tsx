import { createContext, type ReactNode, useContext, useEffect, useMemo, useSyncExternalStore } from 'react';
import type { PresenceClient } from './presence-client.ts';
import type { Device, Privacy, SocialClient, Source } from './social.ts';
import type { ConnectionState, Indicator, Presence } from './types.ts';

const ClientContext = createContext<PresenceClient | undefined>(undefined);
const ON_SERVER: ConnectionState = { status: 'connecting' };
const NO_INDICATORS: readonly Indicator[] = [];
const NO_DETAIL = Object.freeze({});
const NOTHING = { get: () => undefined, subscribe: () => () => {} };
const unknownUser = (userId: string): Presence => ({
  userId,
  status: 'unknown',
  lastSeen: null,
  detail: NO_DETAIL,
  idle: false,
  idleSince: null,
});

/** Keeps the client connected for as long as it is mounted. The last provider to go closes it. */
export function PresenceProvider({ client, children }: { client: PresenceClient; children?: ReactNode }) {
  useEffect(() => client.connect(), [client]);
  return <ClientContext.Provider value={client}>{children}</ClientContext.Provider>;
}

/** The client of the nearest PresenceProvider; throws where there is none. */
export function usePresenceClient(): PresenceClient {
  const client = useContext(ClientContext);
  if (!client) throw new Error('There is no <PresenceProvider> around this component.');
  return client;
}

/** The presence of a user, `unknown` until it is known. Renders again only when something of this user changes. */
export function usePresence(userId: string): Presence {
  const presences = usePresences([userId]);
  return presences[0] ?? unknownUser(userId);
}

/** The presence of users, in the order asked. Renders again when one of them changes, once for all that changed together. */
export function usePresences(userIds: readonly string[]): readonly Presence[] {
  const client = usePresenceClient();
  // A new array with the same ids in it is the same wish; no id contains a line break.
  const key = userIds.join('\n');
  const store = useMemo(() => {
    const ids = key === '' ? [] : key.split('\n');
    const unknown = ids.map(unknownUser);
    let last: readonly Presence[] = unknown;
    return {
      unknown,
      subscribe: (changed: () => void) => client.watch(ids, changed),
      get(): readonly Presence[] {
        const now = unknown.map((user) => client.get(user.userId) ?? user);
        if (now.some((presence, index) => presence !== last[index])) last = now;
        return last;
      },
    };
  }, [client, key]);
  return useSyncExternalStore(store.subscribe, store.get, () => store.unknown);
}

/** All users the server tells of; for clients with `audience: 'everyone'`. */
export function useEveryone(): readonly Presence[] {
  const { everyone } = usePresenceClient();
  return useSyncExternalStore(everyone.subscribe, everyone.get, () => everyone.get());
}

/** The state of the client's connection. Renders again when it changes. */
export function useConnectionState(): ConnectionState {
  const { connection } = usePresenceClient();
  return useSyncExternalStore(connection.subscribe, connection.get, () => ON_SERVER);
}

/**
 * The signed-in user as others see them, `unknown` before the first connection. `sources`: who says what of them beside the status, with a
 * client made with `withSocial` of `rollcall/client/social`.
 */
export function useMyPresence(): Presence & { readonly sources: readonly Source[] | undefined } & Pick<
    PresenceClient,
    'setStatus' | 'setDetail' | 'logout'
  > {
  const client = usePresenceClient();
  const userId = useSyncExternalStore(
    client.connection.subscribe,
    () => client.userId,
    () => undefined,
  );
  const [presence = unknownUser(userId ?? '')] = usePresences(userId === undefined ? [] : [userId]);
  const { sources = NOTHING } = client as Partial<SocialClient>;
  const said = useSyncExternalStore(sources.subscribe, sources.get, NOTHING.get);
  const { setStatus, setDetail, logout } = client;
  return { ...presence, sources: said, setStatus, setDetail, logout };
}

/** By which devices a user is here, undefined until the server has said; asked anew with whatever it tells of them. For clients made with `withSocial`. */
export function useDevices(userId: string): readonly Device[] | undefined {
  const client = usePresenceClient() as PresenceClient & Partial<SocialClient>;
  const devices = useMemo(() => client.devicesOf?.(userId) ?? NOTHING, [client, userId]);
  return useSyncExternalStore(devices.subscribe, devices.get, NOTHING.get);
}

/** Those who are typing or recording in a conversation, without the user themselves. Joins it while mounted. */
export function useIndicators(conversationId: string): readonly Indicator[] {
  const client = usePresenceClient();
  const store = useMemo(
    () => ({
      subscribe: (changed: () => void) => client.watchIndicators(conversationId, changed),
      get: () => client.indicators(conversationId),
    }),
    [client, conversationId],
  );
  return useSyncExternalStore(store.subscribe, store.get, () => NO_INDICATORS);
}

/**
 * What the signed-in user shows to whom, undefined until the server has said, and what changes it. For clients made with `withSocial`
 * of `rollcall/client/social`.
 */
export function usePrivacy(): Partial<Privacy> &
  Pick<SocialClient['social'], 'block' | 'unblock'> &
  Pick<SocialClient['settings'], 'change'> {
  const { privacy, social, settings } = usePresenceClient() as Partial<SocialClient>;
  if (!privacy || !social || !settings) throw new Error('usePrivacy needs a client made with withSocial().');
  const known = useSyncExternalStore(privacy.subscribe, privacy.get, NOTHING.get);
  const { block, unblock } = social;
  return { ...known, block, unblock, change: settings.change };
}
