import { chmod, cp, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { freePort } from './free-port.ts';
import { temporaryParent, unprivilegedUser } from './postgres-program.ts';
import { run } from './programs.ts';
import { type ServerProcess, serverProcess, temporaryFolder } from './server-process.ts';
import { provideUnpacked, type UnpackedProgram } from './unpacked.ts';

export const PGBOUNCER: UnpackedProgram = {
  file: 'usr/sbin/pgbouncer',
  package: 'pgbouncer',
  libraries: ['libevent-2.1-7', 'libc-ares2'],
  version: ['--version'],
};

export interface PgBouncerOptions {
  mode: 'transaction' | 'session';
  /** Connections to the server for each database; PgBouncer's own default is 20. */
  poolSize?: number;
}

/** A private PgBouncer on 127.0.0.1. It ends with the process that started it, however that ends. */
export interface EmbeddedPgBouncer extends ServerProcess {
  /** The same database by way of the pooler. */
  through(databaseUrl: string): string;
  /** Stops it for good and removes what it wrote. */
  stop(): Promise<void>;
}

/**
 * Puts a PgBouncer with its defaults in front of a PostgreSQL, whose superuser's password it is given in `postgresUrl`. The program is
 * that of this machine, or Debian's, which is unpacked and not installed, for that would start a service.
 */
export async function startPgBouncer(postgresUrl: string, options: PgBouncerOptions): Promise<EmbeddedPgBouncer> {
  const user = process.getuid?.() === 0 ? await unprivilegedUser() : undefined;
  const folder = await temporaryFolder('pgbouncer', await temporaryParent(user));
  try {
    const { command, env } = await provideProgram(folder.path);
    const port = await freePort();
    const file = await writeConfiguration(folder.path, postgresUrl, port, options);
    // It refuses to run as root, and has to read what is here.
    if (user) await run('chown', ['-R', `${user.uid}:${user.gid}`, folder.path]);
    const through = (databaseUrl: string) => Object.assign(new URL(databaseUrl), { port: `${port}` }).href;
    const server = serverProcess({
      name: 'The private PgBouncer',
      command,
      args: [file],
      options: { ...user, env, cwd: folder.path },
      stopSignal: 'SIGINT',
      orphanSignal: 'SIGTERM',
      probe: () => answers(through(postgresUrl)),
    });
    await server.start();
    return Object.assign(server, {
      through,
      stop: async () => {
        await server.shutdown();
        await folder.remove();
      },
    });
  } catch (error) {
    await folder.remove();
    throw error;
  }
}

async function writeConfiguration(folder: string, postgresUrl: string, port: number, options: PgBouncerOptions) {
  const { hostname, port: serverPort, username, password } = new URL(postgresUrl);
  const users = join(folder, 'users.txt');
  await writeFile(users, `"${decodeURIComponent(username)}" "${decodeURIComponent(password)}"\n`, { mode: 0o600 });
  const file = join(folder, 'pgbouncer.ini');
  const lines = [
    '[databases]',
    `* = host=${hostname} port=${serverPort}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = scram-sha-256',
    `auth_file = ${users}`,
    `pool_mode = ${options.mode}`,
    ...(options.poolSize ? [`default_pool_size = ${options.poolSize}`] : []),
    '',
  ];
  await writeFile(file, lines.join('\n'), { mode: 0o600 });
  return file;
}

async function answers(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 });
  client.on('error', () => {});
  await client.connect();
  await client.end();
}

/** The program where another user can reach it; `folder` is open to that user. */
async function provideProgram(folder: string): Promise<{ command: string; env: NodeJS.ProcessEnv }> {
  await chmod(folder, 0o755);
  const provided = await provideUnpacked(PGBOUNCER);
  if ('reason' in provided) {
    throw new Error(`PgBouncer is needed: ${provided.reason}. Install it (Debian: apt-get install pgbouncer).`);
  }
  if (Object.keys(provided.env).length === 0) return provided;
  const copy = join(folder, 'program');
  await cp(dirname(provided.command), copy, { recursive: true, verbatimSymlinks: true });
  return { command: join(copy, 'pgbouncer'), env: { LD_LIBRARY_PATH: join(copy, 'lib') } };
}
