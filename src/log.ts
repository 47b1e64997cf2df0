import { type DestinationStream, type Logger, pino, stdSerializers, stdTimeFunctions } from 'pino';
import type { Config } from './config.ts';

export type { Logger } from 'pino';

const HIDDEN = '[hidden]';
const TOO_DEEP = '[…]';
const SECRET_KEY = /token|password|passwd|secret|authorization|cookie|api_?key|private_?key|^auth$/i;
/** Parameters of a query are what users wrote and can be long: an error's text says enough. */
const LEFT_OUT_KEY = /^bindings$/;
const DEEPEST = 6;

/** A text under such a key in a finished line. */
const SECRET_FIELD = /"(\w{0,40}(?:token|password|secret|authorization)\w{0,40})":"(?:[^"\\]|\\.)*"/gi;
/** A JSON Web Token, wherever in a line it stands. */
const TOKEN = /\beyJ[\w-]{5,}\.[\w-]+(\.[\w-]*)?/g;
/** The user and password of an address. */
const CREDENTIALS = /(\w:\/\/)[^/@\s"]+@/g;

/** JSON lines on standard output. Tokens, passwords and query strings of addresses are never in them. */
export function createLogger(
  config: Pick<Config, 'logLevel'>,
  processName: 'web' | 'worker',
  destination?: DestinationStream,
): Logger {
  const options = {
    level: config.logLevel,
    base: { process: processName, pid: process.pid },
    timestamp: stdTimeFunctions.isoTime,
    serializers: {
      err: (error: unknown) => scrub(error instanceof Error ? stdSerializers.err(error) : error, 0),
      error: (error: unknown) => scrub(error instanceof Error ? stdSerializers.err(error) : error, 0),
      req: requestLine,
    },
    formatters: {
      level: (label: string) => ({ level: label }),
      log: (line: Record<string, unknown>) => scrubRecord(line, 0),
    },
    hooks: {
      streamWrite: lastDoor,
    },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}

/** For what the walk over keys cannot see: a token inside a message, an address or a stack, and a child's own fields. */
function lastDoor(line: string): string {
  return line.replace(SECRET_FIELD, `"$1":"${HIDDEN}"`).replace(TOKEN, HIDDEN).replace(CREDENTIALS, `$1${HIDDEN}@`);
}

/** An address without what stands behind `?` or `#`. */
export function withoutQuery(url: string): string {
  return url.replace(/[?#].*$/s, '');
}

/** Only plain objects and lists are walked; whatever else has a class is left to its serializer. */
function scrub(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > DEEPEST) return TOO_DEEP;
  if (Array.isArray(value)) return value.map((entry) => scrub(entry, depth + 1));
  return isPlain(value) ? scrubRecord(value, depth) : value;
}

function scrubRecord(record: Record<string, unknown>, depth: number): Record<string, unknown> {
  const clean: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(record)) {
    if (LEFT_OUT_KEY.test(key)) continue;
    if (SECRET_KEY.test(key)) clean[key] = HIDDEN;
    else if (key === 'url' && typeof value === 'string') clean[key] = withoutQuery(value);
    else clean[key] = scrub(value, depth + 1);
  }
  return clean;
}

/** The serialized form of an error has a prototype of pino's own, which counts as plain too. */
function isPlain(value: object): value is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype || 'raw' in value;
}

function requestLine(request: unknown): unknown {
  if (typeof request !== 'object' || request === null) return request;
  const { id, method, url, ip }: { id?: unknown; method?: unknown; url?: unknown; ip?: unknown } = request;
  return { id, method, url: typeof url === 'string' ? withoutQuery(url) : undefined, remoteAddress: ip };
}
