import { type Attributes, diag, type SpanContext } from '@opentelemetry/api';
import { type ExportResult, setGlobalErrorHandler } from '@opentelemetry/core';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import type { TracingSettings } from '../config/tracing-settings.ts';
import type { Logger } from '../log.ts';

/**
 * What spans may say. Libraries put more on theirs: paths, ids of jobs, their results and the texts of errors, all of
 * which name people. Each of these has few values.
 */
const ALLOWED = new Set([
  'rollcall.cause',
  'rollcall.changes',
  'rollcall.code',
  'http.request.method',
  'http.response.status_code',
  'http.route',
  'bullmq.queue.name',
  'bullmq.queue.operation',
  'bullmq.job.name',
  'bullmq.job.bulk.count',
  'bullmq.job.attempts.made',
  'exception.type',
]);

/** Opens the way to the collector. The exporters read its address, headers, time limit and certificates themselves. */
export async function openExporter({ protocol }: TracingSettings): Promise<SpanExporter> {
  const { OTLPTraceExporter } =
    protocol === 'http/json'
      ? await import('@opentelemetry/exporter-trace-otlp-http')
      : await import('@opentelemetry/exporter-trace-otlp-proto');
  return new CleanExporter(new OTLPTraceExporter());
}

/** Lets through of each span what may leave this service. */
class CleanExporter implements SpanExporter {
  readonly #exporter: SpanExporter;

  constructor(exporter: SpanExporter) {
    this.#exporter = exporter;
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.#exporter.export(spans.map(cleaned), done);
  }

  forceFlush(): Promise<void> {
    return this.#exporter.forceFlush?.() ?? Promise.resolve();
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }
}

/** A copy of a span as it may leave the machine: of its attributes those that are allowed, and no trace state. */
export function cleaned(span: ReadableSpan): ReadableSpan {
  const own = withoutState(span.spanContext());
  return {
    name: span.name,
    kind: span.kind,
    spanContext: () => own,
    ...(span.parentSpanContext ? { parentSpanContext: withoutState(span.parentSpanContext) } : {}),
    startTime: span.startTime,
    endTime: span.endTime,
    status: { code: span.status.code },
    attributes: allowedOf(span.attributes),
    links: span.links.map(({ context }) => ({ context: withoutState(context) })),
    events: span.events.map((event) => ({ ...event, attributes: allowedOf(event.attributes ?? {}) })),
    duration: span.duration,
    ended: span.ended,
    resource: span.resource,
    instrumentationScope: span.instrumentationScope,
    droppedAttributesCount: span.droppedAttributesCount,
    droppedEventsCount: span.droppedEventsCount,
    droppedLinksCount: span.droppedLinksCount,
  };
}

function allowedOf(attributes: Attributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([name]) => ALLOWED.has(name)));
}

/** A trace state is whatever a caller wrote into a header. */
function withoutState({ traceId, spanId, traceFlags, isRemote }: SpanContext): SpanContext {
  return { traceId, spanId, traceFlags, ...(isRemote === undefined ? {} : { isRemote }) };
}

const QUIET_MS = 60_000;

/** Troubles with tracing are told now and then: a collector that is away concerns nobody but the traces. */
export function complainTo(log: Logger): void {
  let quietUntil = 0;
  const complain = (...reasons: unknown[]) => {
    if (performance.now() < quietUntil) return;
    quietUntil = performance.now() + QUIET_MS;
    const reason = reasons.filter((part) => typeof part === 'string').join(' ');
    log.warn({ reason }, 'Traces cannot be sent; nothing else depends on it, and this is told once a minute');
  };
  setGlobalErrorHandler((error) => complain(textOf(error)));
  const silent = () => {};
  diag.setLogger({ error: complain, warn: complain, info: silent, debug: silent, verbose: silent });
}

/** A refused connection to several addresses has its reasons inside. */
function textOf(error: unknown): string {
  if (error instanceof AggregateError) return textOf(error.errors[0]);
  if (error instanceof Error) return error.message;
  return typeof error === 'string' ? error : 'unknown';
}
