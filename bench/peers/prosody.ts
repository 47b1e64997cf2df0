import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../scripts/embedded/free-port.ts';
import { temporaryParent, unprivilegedUser } from '../../scripts/embedded/postgres-program.ts';
import { onPath, run } from '../../scripts/embedded/programs.ts';
import { serverProcess, temporaryFolder } from '../../scripts/embedded/server-process.ts';
import { debianVersion } from './debian.ts';
import { BEAT_SECONDS, type Peer, type StartPeer } from './peer.ts';
import { connectXmpp } from './xmpp-client.ts';

const PASSWORD = 'of-everybody';

/** Prosody: one process, as it is made. */
export const startProsody: StartPeer = async (nodes) => {
  if (nodes > 1) throw new Error('Prosody has no cluster.');
  const program = onPath('prosody');
  const version = await debianVersion('prosody');
  if (!program) throw new Error('prosody is not on the PATH.');
  const user = process.getuid?.() === 0 ? await unprivilegedUser() : undefined;
  const folder = await temporaryFolder('prosody', await temporaryParent(user));
  const port = await freePort();
  const file = join(folder.path, 'prosody.cfg.lua');
  await writeFile(file, configuration(folder.path, port));
  for (const store of ['accounts', 'roster']) await mkdir(join(folder.path, 'localhost', store), { recursive: true });
  if (user) await run('chown', ['-R', `${user.uid}:${user.gid}`, folder.path]);
  const server = serverProcess({
    name: 'Prosody',
    command: program,
    args: ['--config', file, '-F'],
    options: { ...user, cwd: folder.path },
    stopSignal: 'SIGTERM',
    orphanSignal: 'SIGKILL',
    probe: async () => {
      // Any answer will do: nobody of this name is known.
      await connectXmpp(port, { name: 'nobody', node: 0 }, '').catch((error: Error) => {
        if (!error.message.includes('refuses')) throw error;
      });
    },
  });
  await server.start();
  const rosters = new Map<string, string[]>();
  const store = async (kind: string, name: string, text: string) => {
    const path = join(folder.path, 'localhost', kind, `${name.replaceAll('-', '%2d')}.dat`);
    await writeFile(path, text, { mode: 0o666 });
  };
  const account = (name: string) => store('accounts', name, `return { ["password"] = "${PASSWORD}" };\n`);
  const note = async (name: string, other: string, subscription: 'from' | 'to') => {
    const items = rosters.get(name) ?? [];
    rosters.set(name, items);
    items.push(`  ["${other}@localhost"] = { ["subscription"] = "${subscription}"; ["groups"] = {}; };`);
  };
  const known = new Set<string>();
  const peer: Peer = {
    name: 'Prosody',
    setup: `Debian's ${version}, TCP without TLS, passwords, files for accounts and rosters, stream management, by which it asks who said nothing for ${BEAT_SECONDS} s and ends who does not answer in as long; it has no cluster`,
    nodes,
    parts: { server: () => [server.pid] },
    befriend: async (watcher, names) => {
      for (const name of names) {
        await note(name, watcher, 'from');
        await note(watcher, name, 'to');
      }
      for (const name of [watcher, ...names])
        await store(
          'roster',
          name,
          `return {\n${rosters.get(name)?.join('\n')}\n  [false] = { ["version"] = 1; };\n};\n`,
        );
    },
    connect: async (one) => {
      if (!known.has(one.name)) await account(one.name);
      known.add(one.name);
      return connectXmpp(port, one, PASSWORD, { acknowledges: true });
    },
    end: async (_, how) => server.kill(how),
    stop: async () => {
      await server.kill('SIGKILL').catch(() => {});
      await folder.remove();
    },
  };
  return peer;
};

function configuration(folder: string, port: number): string {
  return `data_path = "${folder}"
pidfile = "${folder}/prosody.pid"
log = { error = "*console" }
modules_enabled = { "roster"; "saslauth"; "presence"; "ping"; "smacks" }
modules_disabled = { "s2s"; "offline"; "tls" }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
storage = "internal"
network_settings = { read_timeout = ${BEAT_SECONDS}; backend = "epoll" }
interfaces = { "127.0.0.1" }
c2s_ports = { ${port} }
limits = {}
smacks_hibernation_time = 1
VirtualHost "localhost"
`;
}
