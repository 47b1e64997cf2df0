import type { FastifyInstance } from 'fastify';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Config } from '../../config/config.ts';
import type { DeliveryListener } from '../../redis/delivery.ts';
import type { Stores } from '../../stores.ts';
import { addFeedMetrics } from '../../telemetry/feed-metrics.ts';
import { Lately } from '../../telemetry/lately.ts';
import {
  addReadinessMetrics,
  addStoreMetrics,
  countersFrom,
  createRegistry,
  LATENCY_BUCKETS,
  lagNoted,
} from '../../telemetry/metrics.ts';
import type { OperatorLock } from '../../telemetry/operator.ts';
import { LATELY_MINUTES, type WebFigures } from '../../telemetry/process-figures.ts';
import { feedFiguresOf } from '../../usecases/feed-figures.ts';
import { readStoreFigures } from '../../usecases/store-figures.ts';
import { TOKEN_REFUSALS, type TokenRefusalReason } from '../auth/token-refusals.ts';
import type { Dropped } from '../limits/connection-limit.ts';
import { operatorOnly } from './board.ts';

/** From a change to the sockets: more than so long (ms) is slow. */
const SLOW_MS = 1000;

/** What is measured by being looked at. */
export interface SocketFigures {
  connections(): number;
  sessions(): number;
  level(): number;
  loopLagMs(): number;
}

/** Counts and measures in a web process, for `GET /metrics`. */
export class WebMetrics {
  readonly registry: Registry = createRegistry();
  /** Since the last scrape: a counter with labels costs more than all the rest of a heartbeat's handler. */
  readonly #heartbeats = { accepted: 0, limited: 0 };
  readonly #refused = new Counter({
    name: 'rollcall_connections_refused_total',
    help: 'Handshakes that were refused, by error code',
    labelNames: ['code'],
    registers: [this.registry],
  });
  readonly #tokens = countersFrom(this.registry, {
    name: 'rollcall_tokens_refused_total',
    help: 'Tokens that were refused, by REST and sockets, by reason',
    label: 'reason',
    values: Object.keys(TOKEN_REFUSALS),
  });
  readonly #slow = new Counter({
    name: 'rollcall_slow_readers_closed_total',
    help: 'Connections that were closed because their client did not read',
    registers: [this.registry],
  });
  readonly #dropped = new Counter({
    name: 'rollcall_connections_dropped_total',
    help: 'Connections that were not kept: the process was full, the address had half of it, or idle ones gave way',
    labelNames: ['reason'],
    registers: [this.registry],
  });
  readonly #looksRefused = new Counter({
    name: 'rollcall_looks_refused_total',
    help: 'Look-ups refused because a user had asked for too many others on that day',
    registers: [this.registry],
  });
  readonly #delivery = new Histogram({
    name: 'rollcall_delivery_seconds',
    help: 'From the moment a change was made in Redis to its being handed to the sockets of this process',
    buckets: LATENCY_BUCKETS,
    registers: [this.registry],
  });

  readonly #lately = new Lately<'prompt' | 'slow'>(LATELY_MINUTES);
  #figures: SocketFigures | null = null;

  constructor(stores: Stores, { webhooks }: Pick<Config, 'webhooks'>) {
    const beats = this.#heartbeats;
    new Counter({
      name: 'rollcall_heartbeats_total',
      help: 'Heartbeats of sockets: taken, or ignored because they came too soon',
      labelNames: ['result'],
      registers: [this.registry],
      collect() {
        for (const result of ['accepted', 'limited'] as const) {
          this.inc({ result }, beats[result]);
          beats[result] = 0;
        }
      },
    });
    addStoreMetrics(this.registry, () => readStoreFigures(stores));
    addReadinessMetrics(this.registry, () => stores.readiness.reasons(), stores.redisWatch.refusals);
    addFeedMetrics(this.registry, feedFiguresOf(stores, webhooks));
  }

  /** Counts a heartbeat of a socket, taken or ignored. */
  heartbeat(result: 'accepted' | 'limited'): void {
    this.#heartbeats[result]++;
  }

  /** Counts a handshake that was refused, by its code. */
  refused(code: string): void {
    this.#refused.inc({ code });
  }

  /** Counts a look-up that was more than a user may have on a day. */
  lookRefused(): void {
    this.#looksRefused.inc();
  }

  /** Counts a token that was refused. */
  tokenRefused(reason: TokenRefusalReason): void {
    this.#tokens.inc({ reason });
  }

  /** Counts a connection that was not kept. */
  connectionDropped(reason: Dropped): void {
    this.#dropped.inc({ reason });
  }

  /** Counts a connection that was closed because its client did not read. */
  slowReaderClosed(): void {
    this.#slow.inc();
  }

  /** A listener that measures by how much it hears late. `now`: Redis's time (ms), 0 while it is not known. */
  timing(listener: DeliveryListener, now: () => number): DeliveryListener {
    return {
      onGap: () => listener.onGap(),
      prepare: (batch) => listener.prepare(batch),
      onBatch: (batch) => {
        listener.onBatch(batch);
        const at = now();
        if (at === 0) return;
        for (const item of batch.items) {
          if (item.kind !== 'change') continue;
          const tookMs = Math.max(0, at - item.change.at);
          this.#delivery.observe(tookMs / 1000);
          this.#lately.measure(tookMs);
          this.#lately.count(tookMs > SLOW_MS ? 'slow' : 'prompt');
        }
      },
    };
  }

  /** Adds what is read of the sockets at each scrape. */
  follow(figures: SocketFigures): void {
    const { connections, sessions, level, loopLagMs } = figures;
    this.#figures = figures;
    this.#gauge('rollcall_connections', 'Sockets that are open here', 'sum', connections);
    this.#gauge('rollcall_sessions', 'Sessions of users that are held here', 'sum', sessions);
    this.#gauge('rollcall_degrade_level', '0: all is well; 1: longer batches; 2: newcomers are refused', 'max', level);
    this.#gauge('rollcall_event_loop_lag_seconds', 'Longest delay of the event loop lately', 'max', () => {
      return loopLagMs() / 1000;
    });
  }

  /** What this process says of itself while an operator looks at all. */
  get figures(): WebFigures {
    const sockets = this.#figures;
    return {
      connections: sockets?.connections() ?? 0,
      sessions: sockets?.sessions() ?? 0,
      level: sockets?.level() ?? 0,
      loopLagMs: Math.round(sockets?.loopLagMs() ?? 0),
      deliveries: this.#lately.total('prompt') + this.#lately.total('slow'),
      slowDeliveries: this.#lately.total('slow'),
      slowestDeliveryMs: this.#lately.greatest,
    };
  }

  #gauge(name: string, help: string, aggregator: 'sum' | 'max', read: () => number): void {
    new Gauge({
      name,
      help,
      aggregator,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }
}

/** What a scrape is answered with, here or by all web processes of this machine together. */
export type Scrape = () => Promise<{ contentType: string; text: string }>;

/** A scrape of this process alone. */
export function scrapeOf(registry: Registry): Scrape {
  return async () => {
    await lagNoted();
    return { contentType: registry.contentType, text: await registry.metrics() };
  };
}

/** `GET /metrics`, behind the same lock as the board. */
export function metricsRoutes(app: FastifyInstance, lock: OperatorLock, scrape: Scrape): void {
  app.get('/metrics', { schema: { hide: true }, onRequest: operatorOnly(lock) }, async (_request, reply) => {
    const { contentType, text } = await scrape();
    return reply.header('cache-control', 'no-store').type(contentType).send(text);
  });
}
