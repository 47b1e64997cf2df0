import type { EmbeddedRedis } from './stores.ts';

/**
 * The same private Redis in a container, where a Docker engine answers; undefined where none does. Testcontainers'
 * own reaper removes it when this process is gone.
 */
export async function redisContainer(settings: {
  port: number;
  appendonly: boolean;
}): Promise<EmbeddedRedis | undefined> {
  const { GenericContainer, getContainerRuntimeClient, Wait } = await import('testcontainers');
  const runtime = await getContainerRuntimeClient().catch(() => undefined);
  if (!runtime) return undefined;
  const { port, appendonly } = settings;
  const started = await new GenericContainer('redis:7-alpine')
    .withExposedPorts({ container: 6379, host: port })
    .withCommand([
      ...['redis-server', '--save', '', '--maxmemory-policy', 'noeviction'],
      ...['--appendonly', appendonly ? 'yes' : 'no'],
    ])
    .withWaitStrategy(Wait.forLogMessage('Ready to accept connections'))
    .start();
  const container = runtime.container.getById(started.getId());
  let pid = await currentPid();

  async function currentPid(): Promise<number> {
    return (await container.inspect()).State.Pid;
  }

  async function start(): Promise<void> {
    if ((await container.inspect()).State.Running) return;
    await container.start();
    await untilReady(() => started.exec(['redis-cli', 'ping']));
    pid = await currentPid();
  }

  async function shutdown(): Promise<void> {
    if ((await container.inspect()).State.Running) await container.stop();
  }

  return {
    url: `redis://${started.getHost()}:${port}`,
    port,
    get pid() {
      return pid;
    },
    start,
    shutdown,
    async kill(signal) {
      await container.kill({ signal });
      if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await container.wait();
    },
    async restart({ empty }) {
      if (!empty && !appendonly) throw new Error('This Redis keeps no data: start it with { appendonly: true }.');
      if (empty) await started.exec(['sh', '-c', 'rm -rf /data/*']);
      await shutdown();
      await start();
    },
    async stop() {
      await started.stop();
    },
  };
}

async function untilReady(ping: () => Promise<{ output: string }>): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!(await ping()).output.includes('PONG')) {
    if (Date.now() > deadline) throw new Error('The Redis container does not answer.');
  }
}
