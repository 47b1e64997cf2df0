import { useEffect, useMemo, useRef, useState } from 'react';
import type { Activity, DeviceKind, Presence, PresenceClient } from '../client/index.ts';
import { useConnectionState, useEveryone } from '../client/react.tsx';
import type { SocialClient, Device as ToldDevice } from '../client/social.ts';
import { displayName } from './names.ts';
import { remember, remembered } from './remembered.ts';
import type { Rest, StatusAnswer } from './rest.ts';
import type { Social } from './social.ts';

export interface Person extends Presence {
  devices: readonly { key: string; kind: DeviceKind; state: Activity }[];
}

const LOOK_EVERY_MS = 1000;
const LOOKS_AT_ONCE = 6;
const OLD_AFTER_MS = 15_000;
const NO_DEVICES: Person['devices'] = [];

/** All others, by name: those the socket tells of, those remembered from earlier visits, friends and the blocked. */
export function usePeople(
  me: string,
  rest: Rest,
  client: SocialClient,
  { friends, blocks }: Social,
): readonly Person[] {
  const told = useEveryone();
  const away = useRemembered(me, rest);
  const devices = useDevices(told, client);
  return useMemo(() => {
    const people = new Map<string, Person>();
    const hidden = [...blocks].map((userId) => ({ userId, status: 'inactive' as const, lastSeen: null }));
    for (const { userId, status, lastSeen } of [...away, ...friends.values(), ...hidden]) {
      people.set(userId, { userId, status, lastSeen, detail: {}, idle: false, idleSince: null, devices: NO_DEVICES });
    }
    for (const presence of told) {
      const seen = people.get(presence.userId)?.lastSeen ?? null;
      // After a gap the socket can't know when somebody left; the answer over HTTP may.
      const lastSeen = presence.lastSeen ?? seen;
      const shown = presence.status === 'active' ? devices.get(presence.userId) : undefined;
      people.set(presence.userId, { ...presence, lastSeen, devices: shown ?? NO_DEVICES });
    }
    people.delete(me);
    return [...people.values()].sort((a, b) => displayName(a.userId).localeCompare(displayName(b.userId)));
  }, [told, away, devices, friends, blocks, me]);
}

/** When those who are not here now were last seen; asked anew with every connection. */
function useRemembered(me: string, rest: Rest): readonly StatusAnswer[] {
  const [away, setAway] = useState<readonly StatusAnswer[]>([]);
  const { status } = useConnectionState();
  const everyone = useEveryone();
  const everyoneNow = useRef(everyone);
  everyoneNow.current = everyone;
  useEffect(() => {
    if (status !== 'connected') return;
    let current = true;
    const here = new Set(everyoneNow.current.filter((one) => one.status === 'active').map((one) => one.userId));
    const unknown = remembered().filter((userId) => userId !== me && !here.has(userId));
    void rest.statuses(unknown).then((users) => {
      if (current) setAway(users.filter((user) => user.lastSeen !== null));
    });
    return () => {
      current = false;
    };
  }, [status, me, rest]);
  useEffect(() => {
    const timer = setTimeout(() => remember(everyone.map((one) => one.userId)), 1000);
    return () => clearTimeout(timer);
  }, [everyone]);
  return away;
}

/** Which devices somebody is at is told over HTTP only: a few people are looked at in turn. */
function useDevices(told: readonly Presence[], client: SocialClient): ReadonlyMap<string, Person['devices']> {
  const [devices, setDevices] = useState<ReadonlyMap<string, Person['devices']>>(new Map());
  const lookedAt = useRef(new Map<string, number>());
  const toldNow = useRef(told);
  toldNow.current = told;
  useEffect(() => {
    async function look(): Promise<void> {
      if (document.visibilityState === 'hidden') return;
      const now = Date.now();
      const active = toldNow.current.filter((one) => one.status === 'active');
      const due = active
        .map(({ userId }) => ({ userId, at: lookedAt.current.get(userId) ?? 0 }))
        .filter(({ at }) => now - at > OLD_AFTER_MS)
        .sort((a, b) => a.at - b.at)
        .slice(0, LOOKS_AT_ONCE);
      for (const { userId } of due) lookedAt.current.set(userId, now);
      if (due.length === 0) return;
      const found = await client.social.devices(due.map(({ userId }) => userId)).catch(() => new Map());
      setDevices((known) => new Map([...known, ...[...found].map(([userId, told]) => [userId, keyed(told)] as const)]));
    }
    const timer = setInterval(look, LOOK_EVERY_MS);
    const stop = dropOnChange(client, lookedAt.current);
    return () => {
      clearInterval(timer);
      stop();
    };
  }, [client]);
  return devices;
}

/** Whoever comes may be at another device than before. */
function dropOnChange(client: PresenceClient, lookedAt: Map<string, number>): () => void {
  return client.onChange((changes) => {
    for (const { presence } of changes) lookedAt.delete(presence.userId);
  });
}

/** Two devices of one kind differ in nothing that is told. */
function keyed(devices: readonly ToldDevice[]): Person['devices'] {
  return devices.map((device, index) => ({ ...device, key: `${device.kind}-${index}` }));
}
