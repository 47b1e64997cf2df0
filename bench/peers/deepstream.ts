import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { freePort } from '../../scripts/embedded/free-port.ts';
import { installNpmPrograms } from '../../scripts/embedded/npm-programs.ts';
import { startRedis } from '../../scripts/embedded/redis.ts';
import { type ServerProcess, serverProcess, temporaryFolder } from '../../scripts/embedded/server-process.ts';
import { BEAT_SECONDS, type Peer, type PeerClient, type PeerUser, type StartPeer } from './peer.ts';

/** What is used of `@deepstream/client`, whose heartbeats are numbers of its protocol. */
interface Client {
  login(data: { username: string }): Promise<unknown>;
  presence: { subscribe(user: string, told: (name: string, here: boolean) => void): void };
  services: {
    connection: {
      sendMessage(message: object): void;
      endpoint: { onmessage: unknown; send: unknown; close: unknown };
    };
  };
  on(event: 'connectionStateChanged', heard: (state: number) => void): void;
  on(event: 'error', heard: () => void): void;
  close(): void;
}

const TOPIC_CONNECTION = 1;

/** deepstream: nodes that tell each other by Redis, whoever calls themselves somebody is believed. */
export const startDeepstream: StartPeer = async (nodes) => {
  const modules = await installNpmPrograms('bench/peers/packages');
  const load = createRequire(join(modules, 'here.js'));
  const { version } = load('@deepstream/server/package.json');
  const { DeepstreamClient } = load('@deepstream/client') as { DeepstreamClient: new (...all: unknown[]) => Client };
  const { CONNECTION_ACTION, TOPIC } = load('@deepstream/protobuf/dist/types/all');
  const redis = await startRedis();
  const folder = await temporaryFolder('deepstream');
  const servers: { server: ServerProcess; port: number }[] = [];
  for (let n = 0; n < nodes; n++) {
    const port = await freePort();
    const file = join(folder.path, `node-${n}.yml`);
    await writeFile(file, configuration(port, nodes > 1 ? redis.url : null));
    const server = serverProcess({
      name: `deepstream ${n}`,
      command: process.execPath,
      args: [join(modules, '@deepstream/server/dist/bin/deepstream.js'), 'start', '-c', file],
      // It looks for its plugins below the folder in which it runs.
      options: { cwd: join(modules, '..') },
      stopSignal: 'SIGTERM',
      orphanSignal: 'SIGKILL',
      probe: async () => {
        const { ok } = await fetch(`http://127.0.0.1:${port}/health-check`);
        if (!ok) throw new Error('not ready');
      },
    });
    await server.start();
    servers.push({ server, port });
  }
  const pidOf = ({ server }: (typeof servers)[number]) => {
    try {
      return [server.pid];
    } catch {
      return [];
    }
  };
  const connect = async (user: PeerUser): Promise<PeerClient> => {
    const options = { heartbeatInterval: BEAT_SECONDS * 1000, maxReconnectAttempts: 0 };
    const client = new DeepstreamClient(`ws://127.0.0.1:${servers[user.node]?.port}/deepstream`, options);
    let left = false;
    client.on('error', () => {});
    await client.login({ username: user.name });
    client.on('connectionStateChanged', () => {
      if (left) return;
      left = true;
      client.close();
      user.lost?.();
    });
    for (const name of user.watches ?? []) {
      client.presence.subscribe(name, (_, here) => user.told?.(name, here));
    }
    const { connection } = client.services;
    return {
      beat: () =>
        connection.sendMessage({ topic: TOPIC.CONNECTION ?? TOPIC_CONNECTION, action: CONNECTION_ACTION.PING }),
      freeze: () => {
        left = true;
        for (const what of ['onmessage', 'send', 'close'] as const) connection.endpoint[what] = () => {};
      },
      leave: () => {
        left = true;
        client.close();
      },
    };
  };
  const peer: Peer = {
    name: 'deepstream',
    setup: `@deepstream/server ${version}, its binary protocol and Node's own HTTP server (µWebSockets is not on npm), heartbeats every ${BEAT_SECONDS} s, nobody is asked for a token; nodes tell each other by @deepstream/clusternode-redis`,
    nodes,
    parts: { server: () => servers.flatMap(pidOf), redis: () => (nodes > 1 ? [redis.pid] : []) },
    befriend: async () => {},
    connect,
    end: async (node, how) => servers[node]?.server.kill(how),
    stop: async () => {
      for (const { server } of servers) await server.kill('SIGKILL').catch(() => {});
      await redis.stop();
      await folder.remove();
    },
  };
  return peer;
};

function configuration(port: number, redisUrl: string | null): string {
  const cluster = redisUrl === null ? '' : `clusterNode:\n  name: redis\n  options:\n    url: ${redisUrl}\n`;
  return `showLogo: false
logLevel: WARN
httpServer:
  type: default
  options: { host: 127.0.0.1, port: ${port}, healthCheckPath: /health-check, allowAllOrigins: true }
connectionEndpoints:
  - type: ws-binary
    options: { urlPath: /deepstream, heartbeatInterval: ${BEAT_SECONDS * 1000} }
auth: [{ type: none }]
permission: { type: none }
clusterRegistry:
  type: default
  options: { keepAliveInterval: 1000, activeCheckInterval: 1000, nodeInactiveTimeout: 4000 }
${cluster}`;
}
