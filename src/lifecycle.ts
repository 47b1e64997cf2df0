import { ConfigError } from './config/config.ts';
import type { Logger } from './log.ts';

/**
 * Anything long-lived. `stop` means stopped when it returns: no timer, no connection, nothing that is called later. It is for
 * good: a start that comes after it does nothing. Starting twice, and stopping twice, before starting or while starting, is
 * harmless.
 */
export interface Service {
  name: string;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** How long its stop may take; 10 s where nothing is said. */
  stopLimitMs?: number;
}

/** What `serviceOf` makes a service of. */
export interface ServicePlan {
  name: string;
  /** `stopping` says that a stop waits for its end. */
  start?(stopping: AbortSignal): Promise<void> | void;
  /** Called once, when no start is under way; also where there was none. */
  stop(): Promise<void> | void;
  stopLimitMs?: number;
}

/** A service of what need not know whether it was started or stopped before: it is started once and stopped once. */
export function serviceOf({ start, stop, ...rest }: ServicePlan): Service {
  const stopping = new AbortController();
  let started: Promise<void> | undefined;
  let stopped: Promise<void> | undefined;
  const startOnce = async () => start?.(stopping.signal);
  const stopOnce = async () => {
    stopping.abort();
    // Whoever asked for the start hears of its failure.
    await started?.catch(() => {});
    await stop();
  };
  return {
    ...rest,
    start: async () => {
      if (!stopped) started ??= startOnce();
      await started;
    },
    stop: () => {
      stopped ??= stopOnce();
      return stopped;
    },
  };
}

/** Does something at regular times from its start to its stop, which is for good. */
export class Ticker {
  readonly #everyMs: number;
  readonly #tick: () => void;
  #end: (() => void) | null = null;
  #stopped = false;

  constructor(everyMs: number, tick: () => void) {
    this.#everyMs = everyMs;
    this.#tick = tick;
  }

  get running(): boolean {
    return this.#end !== null;
  }

  start(): void {
    if (!this.#stopped) this.#end ??= every(this.#everyMs, this.#tick);
  }

  stop(): void {
    this.#stopped = true;
    this.#end?.();
    this.#end = null;
  }
}

export interface ProcessPlan {
  log: Logger;
  /** In the order of starting: what others build on comes first and is stopped last. */
  services: readonly Service[];
  /** For all stops together. */
  stopLimitMs?: number;
}

/** Heroku kills 30 s after SIGTERM; what is left is for the way out. */
const DEFAULT_STOP_LIMIT_MS = 24_000;
const DEFAULT_SERVICE_STOP_LIMIT_MS = 10_000;
/** However long the earlier ones took, each service is given this long to stop. */
const LEAST_STOP_LIMIT_MS = 500;

/**
 * Several services as one: started in order, stopped in reverse order, each stop raced with a time limit so that one
 * that hangs cannot keep the others from letting go of what they hold. Where starting fails, all are stopped again and
 * the error is thrown on. Those that were never started are stopped too: what they open when they are made is open.
 */
export function composeServices(name: string, { log, services, stopLimitMs }: ProcessPlan): Service {
  let starting: Promise<void> | undefined;
  let stopping: Promise<void> | undefined;

  const startAll = async () => {
    for (const service of services) {
      if (stopping !== undefined) return;
      try {
        await service.start();
      } catch (error) {
        if (stopping === undefined) await stop();
        throw error;
      }
    }
  };

  const start = () => {
    starting ??= startAll();
    return starting;
  };

  const stop = () => {
    stopping ??= stopAll(services.toReversed(), log, stopLimitMs ?? DEFAULT_STOP_LIMIT_MS);
    return stopping;
  };

  return { name, start, stop, stopLimitMs: stopLimitMs ?? DEFAULT_STOP_LIMIT_MS };
}

async function stopAll(services: readonly Service[], log: Logger, totalMs: number): Promise<void> {
  const deadline = performance.now() + totalMs;
  for (const [index, service] of services.entries()) {
    const begun = performance.now();
    const reserved = (services.length - 1 - index) * LEAST_STOP_LIMIT_MS;
    const share = Math.max(LEAST_STOP_LIMIT_MS, deadline - begun - reserved);
    const limitMs = Math.min(service.stopLimitMs ?? DEFAULT_SERVICE_STOP_LIMIT_MS, share);
    const outcome = await within(limitMs, service);
    const facts = { service: service.name, tookMs: Math.round(performance.now() - begun) };
    if (outcome === 'done') log.debug(facts, 'stopped');
    else if (outcome === 'late') log.warn(facts, 'did not stop in time, left behind');
    else log.error({ ...facts, err: outcome.error }, 'failed while stopping');
  }
}

async function within(limitMs: number, service: Service): Promise<'done' | 'late' | { error: unknown }> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, limitMs, 'late');
  });
  try {
    return await Promise.race([late, service.stop().then(() => 'done' as const)]);
  } catch (error) {
    return { error };
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The life of a process: `assemble` reads the settings and builds the services, they are started, and SIGTERM or
 * SIGINT stops them. Ends the process itself: 0 after a stop that was asked for, 1 where starting failed or
 * something was thrown that nobody caught.
 */
export async function runProcess(assemble: () => ProcessPlan | Promise<ProcessPlan>): Promise<void> {
  const plan = await readPlan(assemble);
  const { log } = plan;
  const all = composeServices('process', plan);
  let asked = false;

  const end = async (signal: NodeJS.Signals) => {
    // A platform may repeat the signal, and a terminal sends it to every process of the group: once is enough.
    if (asked) return;
    asked = true;
    const begun = performance.now();
    log.info({ signal }, 'stopping');
    await all.stop();
    log.info({ tookMs: Math.round(performance.now() - begun) }, 'stopped');
    process.exit(0);
  };
  const fail = (kind: string) => (error: unknown) => {
    log.fatal({ err: error }, kind);
    process.exit(1);
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  process.on('uncaughtException', fail('uncaught exception'));
  process.on('unhandledRejection', fail('unhandled rejection'));

  try {
    await all.start();
    if (!asked) log.info({ services: plan.services.map((service) => service.name) }, 'started');
  } catch (error) {
    // What a start throws because it was interrupted is no failure.
    if (asked) return;
    log.fatal({ err: error }, 'could not start');
    process.exit(1);
  }
}

async function readPlan(assemble: () => ProcessPlan | Promise<ProcessPlan>): Promise<ProcessPlan> {
  try {
    return await assemble();
  } catch (error) {
    // There is no logger yet, and whoever set the settings reads this in a terminal.
    const text = error instanceof ConfigError ? error.message : error instanceof Error ? error.stack : String(error);
    process.stderr.write(`${text}\n`);
    process.exit(1);
  }
}

interface Repeated {
  everyMs: number;
  work: () => void;
  nextAt: number;
}

const repeated = new Set<Repeated>();
let ticking: { timer: NodeJS.Timeout; at: number } | null = null;
/** What is due so soon after something else is done with it. */
const TOGETHER_MS = 2;

/**
 * Does `work` every so many ms, at times that the whole process has in common: each waking costs a process that does nothing some 70
 * µs, so what is due at about the same time is done in one. The first time comes within that interval. Returns what ends it.
 */
export function every(everyMs: number, work: () => void): () => void {
  const one: Repeated = { everyMs, work, nextAt: nextOf(everyMs, performance.now()) };
  repeated.add(one);
  plan();
  return () => {
    repeated.delete(one);
    plan();
  };
}

/** How much this process does again and again at present. */
export function repeatedWork(): number {
  return repeated.size;
}

const nextOf = (everyMs: number, now: number) => (Math.floor((now + TOGETHER_MS) / everyMs) + 1) * everyMs;

function plan(): void {
  let at = Number.POSITIVE_INFINITY;
  for (const { nextAt } of repeated) at = Math.min(at, nextAt);
  if (ticking?.at === at) return;
  clearTimeout(ticking?.timer);
  ticking =
    at === Number.POSITIVE_INFINITY ? null : { timer: setTimeout(tick, Math.max(0, at - performance.now())), at };
}

function tick(): void {
  const now = performance.now();
  const due = [...repeated].filter(({ nextAt }) => nextAt <= now + TOGETHER_MS);
  for (const one of due) one.nextAt = nextOf(one.everyMs, now);
  ticking = null;
  plan();
  for (const one of due) if (repeated.has(one)) one.work();
}
