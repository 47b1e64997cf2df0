import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Counter, Histogram } from 'prom-client';
import type { Config } from '../src/config/config.ts';
import { retryAfterSeconds } from '../src/errors.ts';
import { type Service, serviceOf } from '../src/lifecycle.ts';
import type { Logger } from '../src/log.ts';
import { networkOf } from '../src/network.ts';
import { CAUSES, type Cause, NO_TRANSITION, type Status } from '../src/presence/change.ts';
import { SharedLimits } from '../src/redis/limits.ts';
import type { OutboxEntry } from '../src/redis/outbox-entry.ts';
import type { Stores } from '../src/stores.ts';
import { addFeedMetrics } from '../src/telemetry/feed-metrics.ts';
import { Lately } from '../src/telemetry/lately.ts';
import {
  addReadinessMetrics,
  addStoreMetrics,
  countersFrom,
  createRegistry,
  LATENCY_BUCKETS,
  lagNoted,
} from '../src/telemetry/metrics.ts';
import { OPERATOR_CHALLENGE, OperatorLock } from '../src/telemetry/operator.ts';
import { LATE_MS, LATELY_MINUTES, type WorkerFigures } from '../src/telemetry/process-figures.ts';
import { feedFiguresOf } from '../src/usecases/feed-figures.ts';
import { readStoreFigures } from '../src/usecases/store-figures.ts';
import type { PushResult } from './pushes.ts';

/** The causes after which a quick return on the same device says that nobody had really left. */
const ENDED_BY = ['timeout', 'disconnect', 'handover'] as const satisfies Cause[];

/** Who came and went, deadlines that were settled and those that were too late, and who was told inactive wrongly, by cause. */
type Counted = Status | 'settled' | 'late' | Cause;

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

/** Counts what a worker hands on. A drain that repeats what a dead one left counts it again. */
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

  readonly #lately = new Lately<Counted>(LATELY_MINUTES);
  readonly #posts = new Counter({
    name: 'rollcall_webhook_posts_total',
    help: 'Batches posted to the receiver of a webhook, by what it did with them',
    labelNames: ['webhook', 'result'],
    registers: [this.registry],
  });

  readonly #pushes = countersFrom(this.registry, {
    name: 'rollcall_pushes_total',
    help: 'Tries to send a Web Push, by what became of them',
    label: 'result',
    values: Object.values(PUSH_RESULTS),
  });

  constructor(stores: Stores, { webhooks }: Pick<Config, 'webhooks'>) {
    addStoreMetrics(this.registry, () => readStoreFigures(stores));
    addReadinessMetrics(this.registry, () => stores.readiness.reasons(), stores.redisWatch.refusals);
    addFeedMetrics(this.registry, feedFiguresOf(stores, webhooks));
    // Each stands at 0 from the start, so that the first post is seen as a rise.
    for (const { name: webhook } of webhooks) {
      for (const result of Object.values(RESULTS)) this.#posts.inc({ webhook, result }, 0);
    }
  }

  /** Counts a try to post a batch to the receiver of a webhook. */
  posted(webhook: string, kind: keyof typeof RESULTS): void {
    this.#posts.inc({ webhook, result: RESULTS[kind] });
  }

  /** Counts a try to send a Web Push. */
  pushed(result: PushResult): void {
    this.#pushes.inc({ result: PUSH_RESULTS[result] });
  }

  /** Counts what was handed to the webs. */
  delivered(entries: readonly OutboxEntry[]): void {
    for (const entry of entries) {
      if (entry.kind !== 'change') continue;
      const { cause, status } = entry.change;
      this.#transitions.inc({ cause });
      if (!NO_TRANSITION.includes(cause as (typeof NO_TRANSITION)[number])) this.#lately.count(status);
      if (entry.falselyAway !== null) {
        this.#falselyInactive.inc({ cause: entry.falselyAway });
        this.#lately.count(entry.falselyAway);
      }
      if (entry.lateMs !== null) this.#settled(entry.lateMs);
    }
  }

  /** What this process says of itself while an operator looks at all. */
  get figures(): WorkerFigures {
    const total = (name: Counted) => this.#lately.total(name);
    return {
      comings: total('active'),
      goings: total('inactive'),
      timeouts: { settled: total('settled'), late: total('late'), slowestMs: this.#lately.greatest },
      falselyInactive: { timeout: total('timeout'), disconnect: total('disconnect'), handover: total('handover') },
    };
  }

  #settled(lateMs: number): void {
    this.#lateness.observe(lateMs / 1000);
    this.#lately.count('settled');
    this.#lately.measure(lateMs);
    if (lateMs > LATE_MS) this.#lately.count('late');
  }
}

/** `GET /metrics` on a port of its own, for the operator alone; as long as no password is set there is nothing to see. */
export function metricsServer(config: Config, metrics: WorkerMetrics, stores: Stores, log: Logger): Service {
  const { metricsPort, host, adminUser, adminPassword } = config;
  const shared = new SharedLimits(stores.redis, stores.keys);
  const lock = adminPassword === null ? null : new OperatorLock({ user: adminUser, password: adminPassword }, shared);
  const answer = async ({ method, url, headers, socket }: IncomingMessage, response: ServerResponse) => {
    if (lock === null || method !== 'GET' || url !== '/metrics') return response.writeHead(404).end();
    const verdict = await lock.judge(headers.authorization, networkOf(socket.remoteAddress ?? ''), socket);
    if (verdict.kind === 'too many attempts') {
      return response.writeHead(429, { 'retry-after': String(retryAfterSeconds(verdict.error)) }).end();
    }
    if (verdict.kind === 'stranger') return response.writeHead(401, { 'www-authenticate': OPERATOR_CHALLENGE }).end();
    await lagNoted();
    const text = await metrics.registry.metrics();
    return response.writeHead(200, { 'content-type': metrics.registry.contentType }).end(text);
  };
  const server = createServer({ requestTimeout: 10_000 }, (request, response) => {
    answer(request, response).catch((error) => {
      log.error({ err: error }, 'The metrics could not be read');
      response.writeHead(500).end();
    });
  });
  return serviceOf({
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
  });
}
