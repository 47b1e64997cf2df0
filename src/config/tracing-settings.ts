import { type Environment, quote } from './environment.ts';

const SAMPLERS = [
  'parentbased_traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'traceidratio',
  'always_on',
  'always_off',
] as const;

/** What of OpenTelemetry's settings is not left to its exporter, which reads address, headers and the like itself. */
export interface TracingSettings {
  /** Where to, and what is sent along: known here so that the log can leave out the secrets in it. */
  endpoint: string;
  headers: string | null;
  protocol: 'http/protobuf' | 'http/json';
  /** null: `rollcall-web` and `rollcall-worker`. */
  serviceName: string | null;
  sampler: (typeof SAMPLERS)[number];
  /** Which part of the traces is kept, where the sampler goes by one. */
  ratio: number;
}

/** A job for every user a minute makes far more traces than anybody looks at. */
const DEFAULT_RATIO = 0.1;

/** How traces are made and sent; null where no collector is named, and then nothing of this is judged. */
export function readTracing(from: Environment): TracingSettings | null {
  const url = from.url('OTEL_EXPORTER_OTLP_ENDPOINT', ['http:', 'https:']);
  const headers = from.secret('OTEL_EXPORTER_OTLP_HEADERS');
  const serviceName = from.text('OTEL_SERVICE_NAME') ?? null;
  const [protocol, sampler, ratio] = [
    from.text('OTEL_EXPORTER_OTLP_PROTOCOL') ?? 'http/protobuf',
    from.text('OTEL_TRACES_SAMPLER') ?? 'parentbased_traceidratio',
    from.text('OTEL_TRACES_SAMPLER_ARG') ?? String(DEFAULT_RATIO),
  ];
  if (url === undefined) return null;
  if (headers !== undefined && !/^\s*[^\s=,]+=[^,]*(,\s*[^\s=,]+=[^,]*)*,?\s*$/.test(headers)) {
    from.problem('OTEL_EXPORTER_OTLP_HEADERS', 'must be a list such as api-key=abc,tenant=one');
  }
  if (!/^(0?\.\d+|0|1(\.0*)?)$/.test(ratio)) {
    from.problem('OTEL_TRACES_SAMPLER_ARG', `must be a number from 0 to 1, got ${quote(ratio)}`);
  }
  return {
    endpoint: url,
    headers: headers ?? null,
    protocol: oneOf(from, 'OTEL_EXPORTER_OTLP_PROTOCOL', ['http/protobuf', 'http/json'], protocol),
    serviceName,
    sampler: oneOf(from, 'OTEL_TRACES_SAMPLER', SAMPLERS, sampler),
    ratio: Number(ratio),
  };
}

function oneOf<const T extends string>(
  from: Environment,
  name: string,
  options: readonly [T, ...T[]],
  given: string,
): T {
  const found = options.find((option) => option === given.toLowerCase());
  if (found === undefined) from.problem(name, `must be ${options.join(' or ')}, got ${quote(given)}`);
  return found ?? options[0];
}
