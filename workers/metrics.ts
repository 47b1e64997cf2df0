import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Histogram } from 'prom-client';
import type { Config } from '../src/config.ts';
import { addFeedMetrics } from '../src/feed-metrics.ts';
import type { Service } from '../src/lifecycle.ts';
import type { Logger } from '../src/log.ts';
import { addReadinessMetrics, addStoreMetrics, countersFrom, createRegistry, LATENCY_BUCKETS } from '../src/metrics.ts';
import { OPERATOR_CHALLENGE, OperatorLock } from '../src/operator.ts';
import { feedFigures } from '../src/postgres/change-feed-figures.ts';
import { CAUSES, type Cause } from '../src/presence/change.ts';
import type { OutboxEntry } from '../src/redis/outbox.ts';
import { readStoreFigures, type Services } from '../src/services.ts';
import { receiverOf } from '../src/webhook-settings.ts';
import type { PushResult } from './pushes.ts';

/** The causes after which a quick return on the same device says that nobody had really left. */
const ENDED_BY = ['timeout', 'disconnect', 'handover'] as const satisfies Cause[];

/** By what became of a post. */
const RESULTS = { taken: 'taken', refused: 'refused', later: 'failed' } as const;
/** By what became of a push. */
const PUSH_RESULTS = {
  sent: 'sent',
  gone: 'gone',
  refused: 'refused',
  later: 'failed',
  waiting: 'waiting',
} as const satisfies Record<PushResult, string>;

/** What a worker counts while it hands changes on. A drain that repeats what a dead one left counts it again. */
export class WorkerMetrics {
  readonly registry = createRegistry();
  readonly #transitions = countersFrom(this.registry, {
    name: 'rollcall_transitions_total',
    help: 'Changes that were told, by cause',
    label: 'cause',
    values: CAUSES,
  });
  readonly #falselyInactive = countersFrom(this.registry, {
    name: 'rollcall_false_inactive_total',
    help: 'Users told inactive and within 10 s active again on the same device, by why they were told inactive',
    label: 'cause',
    values: ENDED_BY,
  });
  readonly #lateness = new Histogram({
    name: 'rollcall_timeout_lateness_seconds',
    help: 'From a deadline (timeout, grace or handover) to the transition that was made because of it',
    buckets: LATENCY_BUCKETS,
    registers: [this.registry],
  });

  readonly #posts = countersFrom(this.registry, {
    name: 'rollcall_webhook_posts_total',
    help: 'Batches posted to the receiver of webhooks, by what it did with them',
    label: 'result',
    values: Object.values(RESULTS),
  });

  readonly #pushes = countersFrom(this.registry, {
    name: 'rollcall_pushes_total',
    help: 'Tries to send a Web Push, by what became of them',
    label: 'result',
    values: Object.values(PUSH_RESULTS),
  });

  constructor(services: Services, { webhook }: Pick<Config, 'webhook'>) {
    addStoreMetrics(this.registry, () => readStoreFigures(services));
    addReadinessMetrics(this.registry, () => services.readiness.reasons(), services.redisWatch.refusals);
    addFeedMetrics(this.registry, () => feedFigures(services.db, webhook && receiverOf(webhook)));
  }

  posted(kind: keyof typeof RESULTS): void {
    this.#posts.inc({ result: RESULTS[kind] });
  }

  pushed(result: PushResult): void {
    this.#pushes.inc({ result: PUSH_RESULTS[result] });
  }

  delivered(entries: readonly OutboxEntry[]): void {
    for (const entry of entries) {
      if (entry.kind !== 'change') continue;
      this.#transitions.inc({ cause: entry.change.cause });
      if (entry.falselyAway !== null) this.#falselyInactive.inc({ cause: entry.falselyAway });
      if (entry.lateMs !== null) this.#lateness.observe(entry.lateMs / 1000);
    }
  }
}

/** `GET /metrics` on a port of its own, for the operator alone; as long as no password is set there is nothing to see. */
export function metricsServer(config: Config, metrics: WorkerMetrics, log: Logger): Service {
  const { metricsPort, host, adminUser, adminPassword } = config;
  const lock = adminPassword === null ? null : new OperatorLock({ user: adminUser, password: adminPassword });
  const server = createServer({ requestTimeout: 10_000 }, (request, response) => {
    if (lock === null || request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    const verdict = lock.judge(request.headers.authorization, request.socket.remoteAddress ?? '');
    if (verdict.kind === 'too many attempts') {
      response.writeHead(429, { 'retry-after': String(Math.ceil(verdict.retryAfterMs / 1000)) }).end();
    } else if (verdict.kind === 'stranger') {
      response.writeHead(401, { 'www-authenticate': OPERATOR_CHALLENGE }).end();
    } else {
      metrics.registry.metrics().then(
        (text) => response.writeHead(200, { 'content-type': metrics.registry.contentType }).end(text),
        (error) => {
          log.error({ err: error }, 'The metrics could not be read');
          response.writeHead(500).end();
        },
      );
    }
  });
  return {
    name: 'metrics',
    start: async () => {
      if (metricsPort === null) return;
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(metricsPort, host, resolve);
      });
      log.info({ port: (server.address() as AddressInfo).port }, 'metrics can be read');
    },
    stop: async () => {
      server.closeAllConnections();
      if (server.listening) await new Promise((resolve) => server.close(resolve));
    },
  };
}
