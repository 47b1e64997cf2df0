import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../../scripts/embedded/free-port.ts';
import { provideRedisProgram } from '../../scripts/embedded/redis-program.ts';
import { serverProcess, temporaryFolder } from '../../scripts/embedded/server-process.ts';

/** A Sentinel that watches nothing yet. */
export async function startSentinel(): Promise<{ url: string; stop: () => Promise<void> }> {
  const program = await provideRedisProgram();
  if (typeof program === 'string') throw new Error(program);
  const folder = await temporaryFolder('sentinel');
  const port = await freePort();
  const file = join(folder.path, 'sentinel.conf');
  await writeFile(file, `bind 127.0.0.1\nport ${port}\ndir ${JSON.stringify(folder.path)}\n`);
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
