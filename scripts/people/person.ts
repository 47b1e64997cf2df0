import { setTimeout as sleep } from 'node:timers/promises';
import { createPresenceClient, type DeviceKind, type PresenceClient } from '../../src/client/index.ts';
import { withRooms } from '../../src/client/rooms.ts';
import type { Cable } from '../../test/support/cable.ts';

interface Surroundings {
  cable: Cable;
  getToken(userId: string): Promise<string>;
  /** Ends every life. */
  signal: AbortSignal;
}

const KINDS: readonly DeviceKind[] = ['web', 'web', 'mobile', 'mobile', 'desktop', 'other'];
export const LOBBY = 'demo-lobby';
/** Of the demo page. */
const DOCUMENTS = [
  'doc:launch',
  'doc:launch',
  'doc:launch',
  'doc:budget',
  'doc:roadmap',
  'doc:minutes',
  'doc:handbook',
];
const THOUGHTS = ['In a meeting', 'On the train', 'Lunch', 'Deep work', 'Back at three', 'Reviewing', 'On the phone'];

const between = (least: number, most: number) => least + Math.random() * (most - least);
const seconds = (least: number, most: number) => between(least, most) * 1000;
function oneOf<T>(list: readonly [T, ...T[]] | readonly T[]): T {
  return list[Math.floor(Math.random() * list.length)] as T;
}

/** Comes, does what people do with their devices, goes, and comes back, until the signal ends it. */
export async function live(userId: string, surroundings: Surroundings): Promise<void> {
  const { signal } = surroundings;
  const kind = oneOf(KINDS);
  try {
    // Most are there soon, so that the page is alive; some come late.
    await sleep(Math.random() < 0.7 ? seconds(0, 4) : seconds(5, 60), undefined, { signal });
    for (;;) {
      const device = atDevice(userId, kind, surroundings);
      try {
        await stay(userId, device, surroundings);
      } finally {
        device.client.close();
        surroundings.cable.mend(device.line);
      }
      await sleep(seconds(8, 90), undefined, { signal });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

interface AtDevice {
  client: PresenceClient;
  line: string;
}

function atDevice(userId: string, kind: DeviceKind, { cable, getToken }: Surroundings): AtDevice {
  const line = `${userId}-${kind}`;
  const client = createPresenceClient({
    url: cable.url(line),
    getToken: () => getToken(userId),
    deviceId: line,
    device: { kind, name: `Simulated ${kind}` },
  });
  // The server may be restarting, or not know conversations: a simulated person shrugs.
  client.onError(() => {});
  client.connect();
  return { client, line };
}

/** A visit of a few episodes. */
async function stay(userId: string, device: AtDevice, surroundings: Surroundings): Promise<void> {
  const { signal } = surroundings;
  const episodes = Math.round(between(3, 12));
  for (let episode = 0; episode < episodes; episode += 1) {
    await sleep(seconds(4, 25), undefined, { signal });
    await oneOf(EPISODES)(userId, device, surroundings);
  }
}

type Episode = (userId: string, device: AtDevice, surroundings: Surroundings) => Promise<void>;

const goIdle: Episode = async (_userId, { client }, { signal }) => {
  client.setActivity('idle');
  await sleep(seconds(10, 45), undefined, { signal });
  client.setActivity('active');
};

/** Seconds in a tunnel, or long enough to be missed. */
const loseNetwork: Episode = async (_userId, { client, line }, { cable, signal }) => {
  cable.cut(line);
  const state = client.connection.get();
  const ttlMs = state.status === 'connected' ? state.ttlMs : 60_000;
  await sleep(Math.random() < 0.5 ? seconds(2, 10) : ttlMs * between(1.1, 1.6), undefined, { signal });
  cable.mend(line);
};

/** Nothing is said and nothing is heard until the lid is opened again; then the device starts from its old state. */
const closeLid: Episode = async (_userId, { client, line }, { cable, signal }) => {
  const state = client.connection.get();
  cable.cut(line);
  await sleep((state.status === 'connected' ? state.ttlMs : 60_000) * between(1.2, 2.5), undefined, { signal });
  cable.break(line);
  cable.mend(line);
};

const type: Episode = async (_userId, { client }, { signal }) => {
  const stop = client.watchIndicators(LOBBY, () => {});
  const kind = Math.random() < 0.8 ? 'typing' : 'recording_audio';
  for (let keys = Math.round(between(5, 25)); keys > 0; keys -= 1) {
    if (kind === 'typing') client.typing(LOBBY);
    else client.recording(LOBBY);
    await sleep(seconds(0.1, 0.5), undefined, { signal });
  }
  client.stopIndicator(LOBBY, kind);
  stop();
};

/** Turns a few pages of a document, and closes it. */
const read: Episode = async (_userId, { client }, { signal }) => {
  const room = withRooms(client).room(oneOf(DOCUMENTS), { data: { page: 1 } });
  try {
    for (let page = 1; page <= 4; page += 1) {
      room.update({ page });
      await sleep(seconds(5, 25), undefined, { signal });
    }
  } finally {
    room.leave();
  }
};

const takeSecondDevice: Episode = async (userId, _device, surroundings) => {
  const second = atDevice(userId, oneOf(['mobile', 'desktop'] as const), surroundings);
  try {
    await sleep(seconds(8, 40), undefined, { signal: surroundings.signal });
  } finally {
    second.client.close();
  }
};

const sayHow: Episode = async (_userId, { client }) => {
  const busy = Math.random() < 0.3;
  const detail = { text: oneOf(THOUGHTS), availability: busy ? ('busy' as const) : ('available' as const) };
  await client.setDetail({ ...detail, expiresInSeconds: between(60, 300) }).catch(() => {});
};

const doNothing: Episode = async () => {};

const EPISODES: readonly Episode[] = [
  doNothing,
  goIdle,
  goIdle,
  loseNetwork,
  closeLid,
  type,
  type,
  read,
  read,
  read,
  read,
  takeSecondDevice,
  sayHow,
];
