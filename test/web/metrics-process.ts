import cluster from 'node:cluster';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { Counter } from 'prom-client';
import { runProcess } from '../../src/lifecycle.ts';
import { createRegistry } from '../../src/telemetry/metrics.ts';
import { webCluster } from '../../src/web/operations/cluster.ts';
import { answerScrapes, scrapeOfMachine } from '../../src/web/operations/cluster-metrics.ts';

/** Two processes with a port each: `/` is a scrape of them all, and one event has happened in each. */
const log = pino();

await runProcess(() => {
  if (cluster.isPrimary) {
    answerScrapes();
    return { log, services: [webCluster(2, log)] };
  }
  const registry = createRegistry();
  new Counter({ name: 'events_total', help: 'Events', registers: [registry] }).inc();
  const scrape = scrapeOfMachine(registry);
  const server = createServer((_request, response) => {
    scrape().then(({ text }) => response.setHeader('connection', 'close').end(text));
  });
  const http = {
    name: 'http',
    start: async () => {
      await once(server.listen({ port: 0, host: '127.0.0.1', exclusive: true }), 'listening');
      log.info({ port: (server.address() as AddressInfo).port }, 'listening');
    },
    stop: async () => {
      server.close();
    },
  };
  return { log, services: [http] };
});
