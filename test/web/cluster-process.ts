import cluster from 'node:cluster';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { runProcess } from '../../src/lifecycle.ts';
import { webCluster } from '../../src/web/operations/cluster.ts';

/** Two processes that share a port and answer with their process id; with an argument, processes that cannot start. */
const [fails] = process.argv.slice(2);
const log = pino();

await runProcess(() => {
  if (cluster.isPrimary) return { log, services: [webCluster(2, log)] };
  const server = createServer((_request, response) => {
    response.setHeader('connection', 'close').end(String(process.pid));
  });
  const http = {
    name: 'http',
    start: async () => {
      if (fails) throw new Error('There is no start.');
      await once(server.listen(0, '127.0.0.1'), 'listening');
      const { port } = server.address() as AddressInfo;
      log.info({ port }, 'listening');
    },
    stop: async () => {
      log.info('told to stop');
      server.close();
    },
  };
  return { log, services: [http] };
});
