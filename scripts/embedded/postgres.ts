import { randomBytes } from 'node:crypto';
import { chown, readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { freePort } from './free-port.ts';
import { guardProcess } from './guard.ts';
import { type PostgresProgram, providePostgresProgram } from './postgres-program.ts';
import { run } from './programs.ts';
import { type ServerPlan, type ServerProcess, serverProcess, temporaryFolder } from './server-process.ts';
import type { EmbeddedPostgres } from './stores.ts';

export interface PostgresOptions {
  /** Wait for the disk at every commit. Off by default: the data lives no longer than the process that started it. */
  durable?: boolean;
  /** How many may be connected at once; 200 where nothing is said. */
  maxConnections?: number;
}

const superuser = 'postgres';

export async function startPostgres(options: PostgresOptions = {}): Promise<EmbeddedPostgres> {
  const program = await providePostgresProgram();
  const folder = await temporaryFolder('postgres', program.temporary);
  const remove = async () => {
    await folder.remove();
    await program.dispose();
  };
  const password = randomBytes(18).toString('base64url');
  try {
    await initialise(program, folder.path, password);
    for (let attempt = 1; ; attempt += 1) {
      const port = await freePort();
      const server = serverProcess(plan(program, folder.path, port, password, options));
      try {
        await server.start();
        return handle(server, port, password, remove);
      } catch (error) {
        // Somebody else may have taken the port since it was found free.
        if (attempt === 3) throw error;
      }
    }
  } catch (error) {
    await remove();
    throw error;
  }
}

async function initialise(program: PostgresProgram, folder: string, password: string): Promise<void> {
  const { user } = program;
  const passwordFile = join(folder, 'password');
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  if (user) for (const path of [folder, passwordFile]) await chown(path, user.uid, user.gid);
  const { ok, output } = await run(
    program.initdb,
    [
      `--pgdata=${join(folder, 'data')}`,
      `--username=${superuser}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--no-locale',
      '--no-sync',
    ],
    { ...user, cwd: folder, detached: true },
    (pid) => guardProcess(pid, 'SIGTERM'),
  );
  if (!ok) throw new Error(`PostgreSQL's initdb failed:\n${output.slice(-2_000)}`);
  await unlink(passwordFile);
}

function plan(
  program: PostgresProgram,
  folder: string,
  port: number,
  password: string,
  { durable = false, maxConnections = 200 }: PostgresOptions,
): ServerPlan {
  // Commits stay synchronous in any case: they have left the process by then, so kill -9 loses none of them.
  const settings = [
    'listen_addresses=127.0.0.1',
    `port=${port}`,
    'unix_socket_directories=',
    `max_connections=${maxConnections}`,
    ...(durable ? [] : ['fsync=off', 'full_page_writes=off']),
  ];
  return {
    name: 'The private PostgreSQL',
    command: program.postgres,
    args: ['-D', join(folder, 'data'), ...settings.flatMap((setting) => ['-c', setting])],
    options: { ...program.user, cwd: folder },
    stopSignal: 'SIGINT',
    // Immediate shutdown: takes its own children along and frees its shared memory, which SIGKILL would not.
    orphanSignal: 'SIGQUIT',
    probe: () => query(address(port, password, 'postgres'), 'SELECT 1'),
  };
}

function handle(server: ServerProcess, port: number, password: string, remove: () => Promise<void>): EmbeddedPostgres {
  const url = address(port, password, 'postgres');
  return {
    url,
    port,
    get pid() {
      return server.pid;
    },
    start: server.start,
    shutdown: server.shutdown,
    async kill(signal) {
      // A frozen postmaster alone would leave its sessions answering.
      if (signal === 'SIGSTOP' || signal === 'SIGCONT') await signalChildren(server.pid, signal);
      await server.kill(signal);
    },
    async createDatabase(name, template) {
      const from = template ? ` TEMPLATE ${pg.escapeIdentifier(template)}` : '';
      await query(url, `CREATE DATABASE ${pg.escapeIdentifier(name)}${from}`);
      return address(port, password, name);
    },
    async restart() {
      await server.shutdown();
      await server.start();
    },
    async stop() {
      await server.shutdown();
      await remove();
    },
  };
}

function address(port: number, password: string, database: string): string {
  return `postgres://${superuser}:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
}

async function query(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  // The server may be killed while this connection is open; the query itself tells of it.
  client.on('error', () => {});
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}

async function signalChildren(pid: number, signal: NodeJS.Signals): Promise<void> {
  const listed =
    process.platform === 'linux'
      ? await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
      : (await run('pgrep', ['-P', String(pid)])).output;
  for (const child of listed.split(/\s+/).filter(Boolean)) {
    try {
      process.kill(Number(child), signal);
    } catch {
      // It ended meanwhile.
    }
  }
}
