import { execFile } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from '../../scripts/embedded/free-port.ts';
import { onPath, run } from '../../scripts/embedded/programs.ts';
import { type ServerProcess, serverProcess, temporaryFolder } from '../../scripts/embedded/server-process.ts';
import { debianVersion } from './debian.ts';
import { BEAT_SECONDS, type Peer, SILENCE_SECONDS, type StartPeer } from './peer.ts';
import { connectXmpp } from './xmpp-client.ts';

/** Where Debian has its libraries. */
const LIBRARIES = '/usr/lib/x86_64-linux-gnu';

const JOIN_LIMIT_MS = 30_000;

interface Node {
  server: ServerProcess;
  name: string;
  port: number;
  api: string;
}

/** ejabberd: one node, or two that share their tables; a JWT is the password. */
export const startEjabberd: StartPeer = async (nodes) => {
  const erl = onPath('erl');
  const version = await debianVersion('ejabberd');
  if (!erl) throw new Error('erl, by which ejabberd runs, is not on the PATH.');
  const folder = await temporaryFolder('ejabberd');
  const key = randomBytes(32);
  await writeFile(join(folder.path, 'jwt.json'), JSON.stringify({ kty: 'oct', k: key.toString('base64url') }));
  await writeFile(join(folder.path, '.erlang.cookie'), randomBytes(16).toString('hex'), { mode: 0o400 });
  const epmdPort = await freePort();
  const epmd = serverProcess({
    name: 'epmd',
    command: onPath('epmd') ?? 'epmd',
    args: ['-port', `${epmdPort}`, '-address', '127.0.0.1'],
    stopSignal: 'SIGTERM',
    orphanSignal: 'SIGKILL',
    probe: async () => {
      if (!(await run('epmd', ['-port', `${epmdPort}`, '-names'])).ok) throw new Error('not ready');
    },
  });
  await epmd.start();
  const env = {
    ...process.env,
    HOME: folder.path,
    ERL_LIBS: LIBRARIES,
    ERL_EPMD_PORT: `${epmdPort}`,
    ERL_EPMD_ADDRESS: '127.0.0.1',
  };
  const made: Node[] = [];
  for (let n = 0; n < nodes; n++) made.push(await startNode(folder.path, n, erl, env));
  const [first, second] = made;
  if (!first) throw new Error('No node was started.');
  if (second) await joinNodes(erl, env, first, second);
  const peer: Peer = {
    name: 'ejabberd',
    setup: `Debian's ${version}, Mnesia, TCP without TLS, a JWT as password, mod_ping every ${BEAT_SECONDS} s that ends who does not answer in ${SILENCE_SECONDS - BEAT_SECONDS} s, rosters made by its API; two nodes: join_cluster`,
    nodes,
    parts: { server: () => made.flatMap(pidOf) },
    befriend: async (watcher, names) => {
      const item = (user: string, other: string, subs: string) =>
        call(first, 'add_rosteritem', {
          ...{ localuser: user, localhost: 'localhost', user: other, host: 'localhost', nick: other, group: 'all' },
          subs,
        });
      for (const name of names) await Promise.all([item(name, watcher, 'from'), item(watcher, name, 'to')]);
    },
    connect: (user) => connectXmpp(made[user.node]?.port ?? 0, user, token(key, user.name)),
    end: async (node, how) => made[node]?.server.kill(how),
    stop: async () => {
      for (const { server } of made) await server.kill('SIGKILL').catch(() => {});
      await epmd.kill('SIGKILL').catch(() => {});
      await folder.remove();
    },
  };
  return peer;
};

async function startNode(folder: string, n: number, erl: string, env: NodeJS.ProcessEnv): Promise<Node> {
  const [port, apiPort] = [await freePort(), await freePort()];
  const file = join(folder, `node-${n}.yml`);
  await writeFile(file, configuration(port, apiPort, join(folder, 'jwt.json')));
  const name = `ejabberd${n}@localhost`;
  const api = `http://127.0.0.1:${apiPort}/api`;
  const server = serverProcess({
    name,
    command: erl,
    args: [
      ...['-sname', name, '-noinput', '-start_epmd', 'false', '-kernel', 'inet_dist_use_interface', '{127,0,0,1}'],
      ...['-mnesia', 'dir', `"${join(folder, `db-${n}`)}"`, '-s', 'ejabberd'],
    ],
    options: {
      env: {
        ...env,
        EJABBERD_CONFIG_PATH: file,
        EJABBERD_LOG_PATH: join(folder, `node-${n}.log`),
      },
    },
    stopSignal: 'SIGTERM',
    orphanSignal: 'SIGKILL',
    probe: async () => {
      const { ok } = await fetch(`${api}/status`, { method: 'POST', body: '{}' });
      if (!ok) throw new Error('not ready');
    },
  });
  await server.start();
  return { server, name, port, api };
}

/** Makes one cluster of two nodes. Asked by HTTP, the one that joins would stop the request with all else, and stay stopped. */
async function joinNodes(erl: string, env: NodeJS.ProcessEnv, first: Node, second: Node): Promise<void> {
  const join = `rpc:call('${second.name}', ejabberd_cluster, join, ['${first.name}']), halt().`;
  await promisify(execFile)(erl, ['-sname', 'join@localhost', '-noinput', '-start_epmd', 'false', '-eval', join], {
    env,
  });
  const limit = performance.now() + JOIN_LIMIT_MS;
  for (;;) {
    const both = [first, second].map(async ({ api }) => {
      const answer = await fetch(`${api}/list_cluster`, { method: 'POST', body: '{}' });
      return answer.ok && (await answer.text()).split('ejabberd').length === 3;
    });
    if ((await Promise.all(both).catch(() => [false])).every(Boolean)) return;
    if (performance.now() > limit) throw new Error('The second node of ejabberd does not join the first.');
    await pause(200);
  }
}

async function call({ api }: Node, command: string, body: object): Promise<void> {
  const answer = await fetch(`${api}/${command}`, { method: 'POST', body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`ejabberd's ${command}: ${answer.status} ${await answer.text()}`);
}

function pidOf({ server }: Node): number[] {
  try {
    return [server.pid];
  } catch {
    return [];
  }
}

function token(key: Buffer, name: string): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ sub: `${name}@localhost`, exp })}`;
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`;
}

function configuration(port: number, apiPort: number, jwtKey: string): string {
  return `loglevel: error
hosts: [localhost]
listen:
  - { port: ${port}, ip: 127.0.0.1, module: ejabberd_c2s, access: all, starttls: false, max_stanza_size: 262144, shaper: none }
  - { port: ${apiPort}, ip: 127.0.0.1, module: ejabberd_http, request_handlers: { /api: mod_http_api } }
auth_method: [jwt]
jwt_key: ${jwtKey}
jwt_jid_field: sub
s2s_access: none
api_permissions:
  all: { who: all, what: "*" }
modules:
  mod_roster: {}
  mod_admin_extra: {}
  mod_ping: { send_pings: true, ping_interval: ${BEAT_SECONDS}, ping_ack_timeout: ${SILENCE_SECONDS - BEAT_SECONDS}, timeout_action: kill }
`;
}
