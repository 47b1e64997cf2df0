import {
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapPropagator,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { parseTraceParent } from '@opentelemetry/core';
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { Span as QueueSpan, Telemetry } from 'bullmq';
import { BullMQOtel } from 'bullmq-otel';
import type { FastifyInstance } from 'fastify';
import type { TracingSettings } from '../config/tracing-settings.ts';
import { toRollcallError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { ERRORS } from '../protocol/errors.ts';
import { type ScriptRun, scriptRuns } from './script-runs.ts';
import { isTraced, type Step, type TraceContext, type Traced, type Tracing } from './tracing.ts';
import { complainTo, openExporter } from './tracing-export.ts';

const FLUSH_LIMIT_MS = 2000;
/** Which of them it was matters to nobody, so that all that is left out can go to a queue together. */
const LEFT_OUT = '00-000000000000000000000000ffffffff-00000000ffffffff-00';
/** Asked for all the time, and not by users. */
const UNTRACED_PATH = /^\/(healthz|readyz|metrics|docs|admin)\b/;

/** Traces made with OpenTelemetry. One to a process: contexts and libraries find it by globals. */
export class OpenTelemetry implements Tracing {
  readonly on = true;
  readonly telemetry = queueTelemetry();
  readonly #provider: TracerProvider;
  readonly #tracer: Tracer;
  readonly #onScript = (message: unknown) => this.#noteScript(message as ScriptRun);

  /** Opens tracing for a process, before anything that is to be traced; `processName` is part of the service's name. */
  static async open(settings: TracingSettings, processName: 'web' | 'worker', log: Logger): Promise<OpenTelemetry> {
    complainTo(log);
    const named = resourceFromAttributes(settings.serviceName === null ? {} : { 'service.name': settings.serviceName });
    const provider = new TracerProvider({
      sampler: samplerOf(settings),
      resource: defaultResource()
        .merge(resourceFromAttributes({ 'service.name': `rollcall-${processName}`, 'process.pid': process.pid }))
        .merge(detectResources({ detectors: [envDetector] }))
        .merge(named),
      spanProcessors: [new BatchSpanProcessor({ exporter: await openExporter(settings) })],
    });
    context.setGlobalContextManager(new AsyncLocalStorageContextManager());
    propagation.setGlobalPropagator(TRACE_PARENT_ALONE);
    trace.setGlobalTracerProvider(provider);
    return new OpenTelemetry(provider);
  }

  constructor(provider: TracerProvider) {
    this.#provider = provider;
    this.#tracer = provider.getTracer('rollcall');
    scriptRuns.subscribe(this.#onScript);
  }

  current(): TraceContext {
    const span = trace.getActiveSpan();
    if (span === undefined) return '';
    // Timers and loops keep the context in which they were begun; what happens there later has nothing to do with it.
    if (span.isRecording()) return written(span);
    return isSampled(span) ? '' : LEFT_OUT;
  }

  async event<T>(name: string, work: () => Promise<T>): Promise<T> {
    const span = this.#tracer.startSpan(name, { kind: SpanKind.SERVER, root: true }, ROOT_CONTEXT);
    try {
      return await context.with(trace.setSpan(ROOT_CONTEXT, span), work);
    } catch (error) {
      const { code } = toRollcallError(error);
      span.setAttribute('rollcall.code', code);
      if (ERRORS[code].statusCode >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  }

  within<T>(at: TraceContext, work: () => T): T {
    return context.with(contextOf(at), work);
  }

  step(name: string, items: readonly Traced[], since?: number): Step {
    const spans = new Map<TraceContext, Span>();
    for (const [at, together] of Map.groupBy(items, (item) => item.trace ?? '')) {
      if (!isTraced(at)) continue;
      const [first] = together;
      const attributes = {
        'rollcall.cause': first?.change?.cause ?? first?.kind ?? '',
        'rollcall.changes': together.length,
      };
      // What it is done in, a job or nothing, may have been begun for others.
      const here = trace.getActiveSpan()?.spanContext();
      const options = {
        kind: SpanKind.CONSUMER,
        attributes,
        ...(since === undefined ? {} : { startTime: since }),
        ...(here ? { links: [{ context: here }] } : {}),
      };
      spans.set(at, this.#tracer.startSpan(name, options, contextOf(at)));
    }
    return {
      below: (at) => {
        const span = at === undefined ? undefined : spans.get(at);
        return span ? written(span) : at;
      },
      end: (error) => {
        for (const span of spans.values()) {
          if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR });
          span.end();
        }
      },
    };
  }

  async instrument(app: FastifyInstance): Promise<void> {
    const { FastifyOtelInstrumentation } = await import('@fastify/otel');
    const fastifyTracing = new FastifyOtelInstrumentation({
      // One span a request and one for its handler, which also finds the context again behind the reading of a body.
      instrumentHooks: false,
      ignorePaths: ({ url }) => UNTRACED_PATH.test(url),
      requestHook: (span, { method, routeOptions }) =>
        void span.updateName(`${method} ${routeOptions.url ?? ''}`.trim()),
    });
    await app.register(fastifyTracing.plugin());
  }

  async stop(): Promise<void> {
    scriptRuns.unsubscribe(this.#onScript);
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, FLUSH_LIMIT_MS);
    });
    await Promise.race([limit, this.#provider.shutdown().catch(() => {})]);
    clearTimeout(timer);
  }

  #noteScript({ script, ms }: ScriptRun): void {
    if (!trace.getActiveSpan()?.isRecording()) return;
    const now = Date.now();
    this.#tracer.startSpan(`redis ${script}`, { kind: SpanKind.CLIENT, startTime: now - ms }).end(now);
  }
}

/** A caller's baggage and trace state are left where they are: they may say anything. */
const TRACE_PARENT_ALONE: TextMapPropagator = {
  fields: () => ['traceparent'],
  inject: (at, carrier, setter) => {
    const span = trace.getSpan(at);
    if (span) setter.set(carrier, 'traceparent', written(span));
  },
  extract: (at, carrier, getter) => {
    const header = [getter.get(carrier, 'traceparent') ?? []].flat()[0];
    const parent = header === undefined ? null : parseTraceParent(header);
    return parent ? trace.setSpanContext(at, { ...parent, isRemote: true }) : at;
  },
};

function written(span: Span): TraceContext {
  const { traceId, spanId } = span.spanContext();
  return `00-${traceId}-${spanId}-${isSampled(span) ? '01' : '00'}`;
}

function isSampled(span: Span): boolean {
  return (span.spanContext().traceFlags & 1) === 1;
}

function contextOf(at: TraceContext): Context {
  const parent = parseTraceParent(at);
  return parent ? trace.setSpanContext(ROOT_CONTEXT, { ...parent, isRemote: true }) : ROOT_CONTEXT;
}

function samplerOf({ sampler, ratio }: TracingSettings): Sampler {
  const root = sampler.endsWith('always_on')
    ? new AlwaysOnSampler()
    : sampler.endsWith('always_off')
      ? new AlwaysOffSampler()
      : new TraceIdRatioBasedSampler(ratio);
  return sampler.startsWith('parentbased') ? new ParentBasedSampler({ root }) : root;
}

/** Stands for a span where none is wanted: what is below it belongs to what is above it. */
const NO_SPAN: QueueSpan<Context> = {
  setSpanOnContext: (at) => at,
  setAttribute: () => {},
  setAttributes: () => {},
  addEvent: () => {},
  recordException: () => {},
  end: () => {},
};

/** Adding and doing jobs. What BullMQ does besides, such as waiting for a job and looking for stalled ones, is left out. */
function queueTelemetry(): Telemetry<Context> {
  const { tracer, contextManager } = new BullMQOtel({ tracerName: 'bullmq' });
  return {
    tracer: {
      startSpan: (name, options, at) =>
        options?.kind === SpanKind.PRODUCER || options?.kind === SpanKind.CONSUMER
          ? tracer.startSpan(name, options, at)
          : NO_SPAN,
    },
    contextManager: {
      with: (at, work) => contextManager.with(at, work),
      active: () => contextManager.active(),
      root: () => ROOT_CONTEXT,
      getMetadata: (at) => contextManager.getMetadata(at),
      fromMetadata: (at, metadata) => contextManager.fromMetadata(at, metadata),
    },
  };
}
