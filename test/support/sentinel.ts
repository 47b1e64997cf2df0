import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../../scripts/embedded/free-port.ts';
import { provideRedisProgram } from '../../scripts/embedded/redis-program.ts';
import { type ServerProcess, serverProcess, temporaryFolder } from '../../scripts/embedded/server-process.ts';

export interface Sentinel extends ServerProcess {
  url: string;
  port: number;
  /** Stops it for good and removes what it knew. */
  stop(): Promise<void>;
}

/** A Sentinel, which watches nothing but what these lines of its configuration say. */
export async function startSentinel(configuration: string[] = []): Promise<Sentinel> {
  const program = await provideRedisProgram();
  if (typeof program === 'string') throw new Error(program);
  const folder = await temporaryFolder('sentinel');
  const port = await freePort();
  const file = join(folder.path, 'sentinel.conf');
  const lines = ['bind 127.0.0.1', `port ${port}`, `dir ${JSON.stringify(folder.path)}`, ...configuration, ''];
  await writeFile(file, lines.join('\n'));
  const server = serverProcess({
    name: 'The Sentinel',
    command: program.command,
    args: [file, '--sentinel'],
    options: { argv0: program.argv0, cwd: folder.path },
    stopSignal: 'SIGTERM',
    orphanSignal: 'SIGTERM',
    probe: () => listens(port),
  });
  await server.start();
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    get pid() {
      return server.pid;
    },
    start: server.start,
    shutdown: server.shutdown,
    kill: server.kill,
    stop: async () => {
      await server.shutdown();
      await folder.remove();
    },
  };
}

function listens(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}
