import { textFrame } from '../load/frames.ts';
import { LightClient } from '../load/light-client.ts';
import { signToken } from '../load/tokens.ts';
import { startTutorial } from '../systems/baselines.ts';
import type { Program } from '../systems/program.ts';
import { startRollcall } from '../systems/rollcall.ts';
import type { System } from '../systems/system.ts';
import { BEAT_SECONDS, type Peer, type PeerClient, type PeerUser, SILENCE_SECONDS, type StartPeer } from './peer.ts';

const BEAT = textFrame('42["heartbeat"]');
/** As long as a deploy has on Heroku. */
const DRAIN_MS = 30_000;

/** This service, with the settings that all have. */
export const startOwn: StartPeer = async (nodes) => {
  const system = await startRollcall({
    webs: nodes,
    env: {
      PRESENCE_TTL_SECONDS: String(SILENCE_SECONDS),
      HEARTBEAT_INTERVAL_SECONDS: String(BEAT_SECONDS),
      HEARTBEAT_MIN_INTERVAL_SECONDS: '0.1',
      MAX_WATCHED_USERS: '100000',
    },
  });
  const setup = `this version; ${nodes} web, one worker, Redis and PostgreSQL; tokens, versions and history as always`;
  return overSocketIo('Rollcall', setup, system, system.stack.webs);
};

/** What people write by hand: Socket.IO with its Redis adapter and a room for everybody who is watched. */
export const startAdapter: StartPeer = async (nodes) => {
  const system = await startTutorial({ webs: nodes, ttlSeconds: SILENCE_SECONDS, pingSeconds: BEAT_SECONDS });
  const setup =
    '@socket.io/redis-adapter, a room for each user who is watched, SETEX for a heartbeat and notifications of expired keys (bench/baselines/tutorial)';
  return overSocketIo('Socket.IO, Redis adapter', setup, system, system.programsStarted);
};

function overSocketIo(name: string, setup: string, system: System, webs: readonly Program[]): Peer {
  const connect = async (user: PeerUser): Promise<PeerClient> => {
    const token = signToken(system.secret ?? '', user.name);
    const told = user.told ?? (() => {});
    let frozen = false;
    const client = new LightClient({
      event: (packet) => {
        if (!frozen) hear(packet, told);
      },
      lost: () => user.lost?.(),
    });
    const watch = user.watches ?? [];
    const auth = { token, deviceId: `of-${user.name}`, watch: watch.slice(0, 1000) };
    await client.connect({ url: system.urls[user.node] ?? system.urls[0], readyOn: system.readyOn, auth });
    for (let n = 1000; n < watch.length; n += 1000) await client.ask('watch', { userIds: watch.slice(n, n + 1000) });
    return {
      beat: () => client.write(BEAT),
      freeze: () => {
        frozen = true;
        client.freeze();
      },
      leave: () => client.leave(),
    };
  };
  return {
    name,
    setup,
    nodes: system.urls.length,
    parts: system.parts,
    befriend: async () => {},
    connect,
    end: async (node, how) => webs[node]?.stop(how === 'SIGTERM' ? DRAIN_MS : 0),
    stop: () => system.stop(),
  };
}

function hear(packet: Buffer, told: (name: string, here: boolean) => void): void {
  const [event, payload] = JSON.parse(packet.toString('utf8', 2)) as [string, { userId: string; status: string }];
  if (event === 'user_status_change') told(payload.userId, payload.status === 'active');
}
