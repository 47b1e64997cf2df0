import type { Telemetry } from 'bullmq';
import type { FastifyInstance } from 'fastify';

/**
 * Where something is in a trace, written as W3C's `traceparent` so that it can travel with a change. Empty where nothing
 * is traced; what is left out by sampling has a context too, which says that.
 */
export type TraceContext = string;

/** Something that carries the context of what caused it, where that is traced. */
export interface Traced {
  trace?: TraceContext;
  kind: string;
  change?: { cause: string };
}

/** A stretch of the way that several changes go together: a span in the trace of each. */
export interface Step {
  /** The context below this step for something that came with that one, or as it came where it is in no trace. */
  below(trace: TraceContext | undefined): TraceContext | undefined;
  end(error?: unknown): void;
}

/** Following what happens from process to process. */
export interface Tracing {
  /** Whether anything is traced at all. */
  readonly on: boolean;
  /** For BullMQ's queues and workers. */
  readonly telemetry: Telemetry | undefined;
  /** Where we are. */
  current(): TraceContext;
  /** Something that begins here: a trace of its own, or none where sampling leaves it out. */
  event<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** Goes on where somebody else was; with an empty context, outside all traces. */
  within<T>(trace: TraceContext, work: () => T): T;
  /** Begins a step of all that these belong to; `since`: it began earlier (ms, wall clock). */
  step(name: string, items: readonly Traced[], since?: number): Step;
  /** Has the requests of an app traced. Comes before its routes. */
  instrument(app: FastifyInstance): Promise<void>;
  /** Sends what is not sent yet, as far as that goes within two seconds. */
  stop(): Promise<void>;
}

const NO_STEP: Step = { below: (trace) => trace, end: () => {} };

/** What stands in wherever no collector is named. */
export const NO_TRACING: Tracing = {
  on: false,
  telemetry: undefined,
  current: () => '',
  event: (_name, work) => work(),
  within: (_trace, work) => work(),
  step: () => NO_STEP,
  instrument: async () => {},
  stop: async () => {},
};

/** Does what a step is made of, and ends it however that goes. */
export async function ending<T>(step: Step, work: () => Promise<T>): Promise<T> {
  try {
    const result = await work();
    step.end();
    return result;
  } catch (error) {
    step.end(error);
    throw error;
  }
}

/** Whether what happens at a place in a trace is kept, and not left out by sampling. */
export function isTraced(trace: TraceContext): boolean {
  return trace.endsWith('-01');
}
