import { type DestinationStream, type Logger, pino, stdSerializers, stdTimeFunctions } from 'pino';
import type { Config } from './config/config.ts';
import { repeatsCounted } from './log-repeats.ts';
import { SECRET_KEY, secretsIn, secretsRemover } from './secrets.ts';

export type { Logger } from 'pino';

const HIDDEN = '[hidden]';
const TOO_DEEP = '[…]';
/** Parameters of a query and a command are what users wrote, or a password (of AUTH): an error's text says enough. */
const LEFT_OUT_KEY = /^(bindings|args)$/;
/** What a serializer of its own is for, and is left to it. */
const SERIALIZED_KEY = new Set(['err', 'error', 'req']);
const DEEPEST = 6;

/** A text under such a key in a finished line. */
const SECRET_FIELD = /"(\w{0,40}(?:token|password|secret|authorization)\w{0,40})":"(?:[^"\\]|\\.)*"/gi;
/** A JSON Web Token, wherever in a line it stands. */
const TOKEN = /eyJ[\w-]{5,}\.[\w-]+(\.[\w-]*)?/g;
/** The user and password of an address. */
const CREDENTIALS = /(\w:\/\/)[^/@\s"]+@/g;

/**
 * JSON lines on standard output. Tokens, passwords and query strings of addresses are never in them, nor any secret of the
 * settings, by whatever name. Of lines that tell of the same trouble again and again one in ten seconds is written, with how
 * often (`count`).
 */
export function createLogger(
  config: Pick<Config, 'logLevel'> & object,
  processName: 'web' | 'worker',
  destination?: DestinationStream,
): Logger {
  const withoutSecrets = secretsRemover(secretsIn(config), HIDDEN);
  const options = {
    level: config.logLevel,
    base: { process: processName, pid: process.pid },
    timestamp: stdTimeFunctions.isoTime,
    serializers: {
      err: (error: unknown) => scrub(error, 0),
      error: (error: unknown) => scrub(error, 0),
      req: requestLine,
    },
    formatters: {
      level: (label: string) => ({ level: label }),
      log: (line: Record<string, unknown>) => scrubRecord(line, 0, SERIALIZED_KEY),
    },
    hooks: {
      logMethod: repeatsCounted(),
      streamWrite: (line: string) => withoutSecrets(scrubText(line)),
    },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}

/** For what the walk over keys cannot see: a token inside a message, an address or a stack, and a child's own fields. */
function scrubText(line: string): string {
  return line.replace(SECRET_FIELD, `"$1":"${HIDDEN}"`).replace(TOKEN, HIDDEN).replace(CREDENTIALS, `$1${HIDDEN}@`);
}

/** An address without what stands behind `?` or `#`. */
export function withoutQuery(url: string): string {
  return url.replace(/[?#].*$/s, '');
}

/** Whatever knows how to write itself (a date, an address) does; all else is walked, errors in errors too. */
function scrub(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > DEEPEST) return TOO_DEEP;
  if (Array.isArray(value)) return value.map((entry) => scrub(entry, depth + 1));
  if (value instanceof Error) return scrubRecord(stdSerializers.err(value), depth);
  if ('toJSON' in value && typeof value.toJSON === 'function') return value;
  // What has a class may be a socket, with half of the process behind it.
  return scrubRecord(value, isPlain(value) ? depth : depth + 2);
}

function scrubRecord(record: object, depth: number, leave?: ReadonlySet<string>): Record<string, unknown> {
  const clean: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(record)) {
    if (LEFT_OUT_KEY.test(key)) continue;
    if (SECRET_KEY.test(key)) clean[key] = HIDDEN;
    else if (leave?.has(key)) clean[key] = value;
    else if (key === 'url' && typeof value === 'string') clean[key] = withoutQuery(value);
    else clean[key] = scrub(value, depth + 1);
  }
  return clean;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

function requestLine(request: unknown): unknown {
  if (typeof request !== 'object' || request === null) return request;
  const { id, method, url, ip }: { id?: unknown; method?: unknown; url?: unknown; ip?: unknown } = request;
  return { id, method, url: typeof url === 'string' ? withoutQuery(url) : undefined, remoteAddress: ip };
}
