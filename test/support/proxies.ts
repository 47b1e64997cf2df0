import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../scripts/embedded/free-port.ts';
import { run } from '../../scripts/embedded/programs.ts';
import { PROXY_PROGRAMS } from '../../scripts/embedded/proxy-programs.ts';
import { type ServerProcess, serverProcess } from '../../scripts/embedded/server-process.ts';
import { provideUnpacked, type UnpackedProgram } from '../../scripts/embedded/unpacked.ts';
import { eventually } from './eventually.ts';
import { temporaryRoom } from './temporary.ts';

interface Kind {
  program: UnpackedProgram;
  /** As the guide has it, made to listen at the port. */
  listening(snippet: string, port: number): string;
  /** The whole configuration of a private instance. */
  configuration(snippet: string, folder: string): string;
  args(file: string): string[];
  reload(at: {
    command: string;
    env: NodeJS.ProcessEnv;
    file: string;
    folder: string;
    server: ServerProcess;
  }): Promise<unknown>;
}

/**
 * Tells a master to reload until it has started another worker than those it had: HAProxy's does not hear what it is told
 * while the reload before is coming to its end.
 */
async function replaced(server: ServerProcess, signal: NodeJS.Signals): Promise<void> {
  const workers = async () =>
    (await readFile(`/proc/${server.pid}/task/${server.pid}/children`, 'utf8')).split(' ').filter((pid) => pid !== '');
  const before = new Set(await workers());
  const isReplaced = (now: string[]) => now.some((pid) => !before.has(pid));
  for (let tries = 1; ; tries++) {
    await server.kill(signal);
    const now = await eventually(workers, isReplaced).catch((error) => {
      if (tries === 10) throw error;
      return null;
    });
    if (now !== null) return;
  }
}

/** What the operations guide has a snippet for. */
export const PROXIES = {
  nginx: {
    program: PROXY_PROGRAMS.nginx,
    listening: (snippet, port) => snippet.replace('listen 80;', `listen 127.0.0.1:${port};`),
    configuration: (snippet, folder) => {
      const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
        (name) => `${name}_temp_path ${folder}/${name};`,
      );
      return `daemon off;\npid ${folder}/nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\n${folders.join('\n')}\naccess_log off;\n${snippet}}\n`;
    },
    args: (file) => ['-e', 'stderr', '-c', file],
    reload: ({ server }) => replaced(server, 'SIGHUP'),
  },
  haproxy: {
    program: PROXY_PROGRAMS.haproxy,
    listening: (snippet, port) => snippet.replace('bind :80', `bind 127.0.0.1:${port}`),
    configuration: (snippet) => snippet,
    args: (file) => ['-W', '-f', file],
    reload: ({ server }) => replaced(server, 'SIGUSR2'),
  },
  caddy: {
    program: PROXY_PROGRAMS.caddy,
    listening: (snippet, port) => snippet.replace('presence.example.com {', `http://127.0.0.1:${port} {`),
    configuration: (snippet, folder) => `{\n  admin unix/${folder}/admin.sock\n}\n${snippet}`,
    args: (file) => ['run', '--adapter', 'caddyfile', '--config', file],
    reload: async ({ command, env, file, folder }) => {
      const args = [
        'reload',
        '--force',
        '--adapter',
        'caddyfile',
        '--config',
        file,
        '--address',
        `unix/${folder}/admin.sock`,
      ];
      const { ok, output } = await run(command, args, { env });
      if (!ok) throw new Error(output);
    },
  },
} as const satisfies Record<string, Kind>;
export type ProxyName = keyof typeof PROXIES;

export interface RunningProxy {
  url: string;
  /** Resolves once it goes by its configuration anew. */
  reload(): Promise<void>;
  stop(): Promise<void>;
}

/** Runs the snippet of the operations guide in front of two webs. */
export async function startProxy(name: ProxyName, webs: [string, string]): Promise<RunningProxy> {
  const kind: Kind = PROXIES[name];
  const provided = await provideUnpacked(kind.program);
  if ('reason' in provided) throw new Error(provided.reason);
  const room = await temporaryRoom(`proxy-${name}`);
  const port = await freePort();
  const guide = await readFile('docs/operations.md', 'utf8');
  const language = name === 'caddy' ? 'caddyfile' : name;
  const [, snippet = ''] = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'ms').exec(guide) ?? [];
  const own = webs.map((url) => new URL(url).host);
  const placed = kind
    .listening(snippet, port)
    .replace('127.0.0.1:3000', own[0] ?? '')
    .replace('127.0.0.1:3001', own[1] ?? '');
  if (placed.includes(':80\n') || placed.includes('listen 80;') || placed.includes('presence.example.com {')) {
    throw new Error(`The guide's snippet for ${name} has changed its shape`);
  }
  const file = join(room.path, 'configuration');
  await writeFile(file, kind.configuration(placed, room.path));
  const env = { ...process.env, ...provided.env, HOME: room.path };
  const url = `http://127.0.0.1:${port}`;
  const server = serverProcess({
    name,
    command: provided.command,
    args: kind.args(file),
    options: { env, cwd: room.path },
    stopSignal: 'SIGTERM',
    orphanSignal: 'SIGTERM',
    probe: async () => {
      const answer = await fetch(`${url}/healthz`);
      if (!answer.ok) throw new Error(`It answers ${answer.status}`);
    },
  });
  await server.start();
  return {
    url,
    reload: async () => void (await kind.reload({ command: provided.command, env, file, folder: room.path, server })),
    stop: async () => {
      await server.shutdown();
      await room.remove();
    },
  };
}
