import { createPresenceClient, type DeviceKind } from '../client/index.ts';
import { type SocialClient, withSocial } from '../client/social.ts';
import { type Network, networkOf } from './network.ts';

/** One signed-in device of the person at this page. Every one is a client of its own, as in real life. */
export interface Device {
  key: string;
  kind: DeviceKind;
  label: string;
  client: SocialClient;
  network: Network;
}

/** What a person sits at or holds. */
type OwnKind = (typeof KINDS)[number];

const LABELS: Record<OwnKind, string> = { web: 'This tab', mobile: 'Phone', desktop: 'Desktop', other: 'Tablet' };
const IDLE_AFTER_MS = 60_000;
const MOST_DEVICES = 4;
const KINDS = ['web', 'mobile', 'desktop', 'other'] as const;

export async function tokenFor(userId: string): Promise<string> {
  const answer = await fetch('/demo/token', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ userId }),
  });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.message ?? 'No token to be had.');
  return body.token;
}

function createDevice(userId: string, kind: OwnKind): Device {
  const key = `${kind}-${Math.random().toString(36).slice(2, 8)}`;
  const server = { url: `${location.origin}/?device=${key}`, getToken: () => tokenFor(userId) };
  const client = createPresenceClient({
    ...server,
    deviceId: `demo-${key}`,
    device: { kind, name: `Demo: ${LABELS[kind].toLowerCase()}` },
    audience: 'everyone',
    // The page stands for all of them, but a person is at one device at a time.
    idleAfterMs: IDLE_AFTER_MS,
  });
  return { key, kind, label: LABELS[kind], client: withSocial(client, server), network: networkOf(key) };
}

export function firstDevice(userId: string): [Device] {
  return [createDevice(userId, 'web')];
}

/** Undefined where the session is not one of this page's. */
export function deviceName(sessionId: string, devices: readonly Device[]): string | undefined {
  return devices.find(({ client }) => {
    const state = client.connection.get();
    return state.status === 'connected' && state.sessionId === sessionId;
  })?.label;
}

/** A further one, of a kind that is not there yet. Undefined where there are enough. */
export function anotherDevice(userId: string, devices: readonly Device[]): Device | undefined {
  if (devices.length >= MOST_DEVICES) return undefined;
  const kind = KINDS.find((candidate) => devices.every((device) => device.kind !== candidate));
  return kind && createDevice(userId, kind);
}
