import { readdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { redisContainer } from './redis-container.ts';
import { provideRedisProgram, type RedisProgram } from './redis-program.ts';
import { serverProcess, temporaryFolder } from './server-process.ts';
import type { EmbeddedRedis } from './stores.ts';

export interface RedisOptions {
  /** Keep data on disk, so that a restart (kill -9 included) brings it back. */
  appendonly?: boolean;
  port?: number;
  /** Further lines of the configuration, which a container does not get. */
  configuration?: string[];
  /** Beside this process's own environment; not for a container either. */
  env?: Record<string, string>;
}

/**
 * Starts a private Redis: a program of this machine, one from the package manager, or a container. Never a server
 * that happens to listen somewhere already.
 */
export async function startRedis(options: RedisOptions = {}): Promise<EmbeddedRedis> {
  const program = await provideRedisProgram();
  for (let attempt = 1; ; attempt += 1) {
    const port = options.port ?? (await freePort());
    const { appendonly = false, configuration = [] } = options;
    const settings = { port, appendonly, configuration };
    if (typeof program !== 'string') {
      try {
        return await startProgram(program, settings, options.env);
      } catch (error) {
        // Somebody else may have taken the port since it was found free.
        if (options.port || attempt === 3) throw error;
        continue;
      }
    }
    const container = await redisContainer(settings);
    if (container) return container;
    throw new Error(
      `Redis is needed and was not found: no redis-server or valkey-server (6.2 or later) on the PATH, ${program}, ` +
        'and no Docker engine answers. Install one of them (Debian, Ubuntu: apt-get install redis-tools; macOS: brew ' +
        'install redis), or start Docker, and run the command again.',
    );
  }
}

async function startProgram(
  program: RedisProgram,
  settings: { port: number; appendonly: boolean; configuration: string[] },
  env: Record<string, string> = {},
): Promise<EmbeddedRedis> {
  const { port, appendonly, configuration: further } = settings;
  const folder = await temporaryFolder('redis');
  const data = folder.path;
  const configuration = join(data, 'redis.conf');
  await writeFile(configuration, configurationText(port, data, appendonly, further));
  const server = serverProcess({
    name: 'The private Redis',
    command: program.command,
    args: [configuration],
    options: { argv0: program.argv0, cwd: data, env: { ...process.env, ...env } },
    stopSignal: 'SIGTERM',
    orphanSignal: 'SIGTERM',
    probe: () => ping(port),
  });
  try {
    await server.start();
  } catch (error) {
    await folder.remove();
    throw error;
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    get pid() {
      return server.pid;
    },
    start: server.start,
    shutdown: server.shutdown,
    kill: server.kill,
    async restart({ empty }) {
      if (!empty && !appendonly) throw new Error('This Redis keeps no data: start it with { appendonly: true }.');
      await server.shutdown();
      if (empty) await removeAllBut(data, 'redis.conf');
      await server.start();
    },
    async stop() {
      await server.shutdown();
      await folder.remove();
    },
  };
}

function configurationText(port: number, data: string, appendonly: boolean, further: string[]): string {
  return [
    'bind 127.0.0.1',
    `port ${port}`,
    `dir ${JSON.stringify(data)}`,
    'daemonize no',
    'save ""',
    `appendonly ${appendonly ? 'yes' : 'no'}`,
    'maxmemory-policy noeviction',
    ...further,
    '',
  ].join('\n');
}

async function removeAllBut(folder: string, kept: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name !== kept) await rm(join(folder, name), { recursive: true });
  }
}

/** Resolves when the server at `port` answers PING; one that is still loading its data answers with an error. */
function ping(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    socket.setTimeout(1_000, () => socket.destroy(new Error('no answer')));
    socket.once('data', (answer) => {
      socket.destroy();
      // One that wants a password is there too.
      if (/^(\+PONG|-NOAUTH)/.test(answer.toString())) resolve();
      else reject(new Error(answer.toString()));
    });
    socket.once('error', reject);
  });
}
