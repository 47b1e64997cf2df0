import { RollcallError } from './rollcall-error.ts';
import { type SigningKey, signServiceToken } from './tokens.ts';

export interface RollcallOptions {
  /** Where Rollcall is, with a path where a proxy has it under one. */
  url: string;
  /** Signs service tokens by itself: JWT_SECRET or a private key. Either this or `token`. */
  key?: SigningKey | undefined;
  /** What its own tokens are for, `presence:write` by default; `name` is their `sub`. */
  scope?: 'presence:read' | 'presence:write' | undefined;
  name?: string | undefined;
  issuer?: string | undefined;
  audience?: string | undefined;
  keyId?: string | undefined;
  /** A token, or what gives one before each request. Either this or `key`. */
  token?: string | (() => string | Promise<string>) | undefined;
  /** How long an answer may take, 10,000 by default. */
  timeoutMs?: number | undefined;
  /** How often what may pass is tried again, 2 by default. */
  retries?: number | undefined;
  /** The runtime's by default. */
  fetch?: Fetch | undefined;
}

/** As much of `fetch` as is needed here. */
export type Fetch = (
  url: string,
  init: { method: string; headers: Record<string, string>; body?: string; signal: AbortSignal },
) => Promise<{
  status: number;
  headers: { get(name: string): string | null };
  text(): Promise<string>;
  /** For what comes bit by bit (`watchEvents`) alone. */
  readonly body?: unknown;
}>;

/** As much of a `ReadableStream` as is needed here. */
interface Body {
  getReader(): { read(): Promise<{ done: boolean; value?: Uint8Array }> };
}

export interface Call {
  query?: object | undefined;
  body?: unknown;
  signal?: AbortSignal | undefined;
  timeoutMs?: number;
  retries?: number;
  /** Ends something: a 404 after a try whose answer was lost says that it has ended. */
  ends?: boolean;
  /** A 503 is an answer, too. */
  takes503?: boolean;
}

const TOKEN_SECONDS = 600;
const RENEW_AHEAD_MS = 60_000;
/** Whoever is told to wait longer than that is told so, and decides. */
const LONGEST_WAIT_MS = 30_000;
const FIRST_WAIT_MS = 250;

/** Requests to one Rollcall, with its token, a bound in time and new tries. */
export class Http {
  readonly #options: RollcallOptions;
  readonly #base: string;
  #own: { token: Promise<string>; renewAt: number } | undefined;

  constructor(options: RollcallOptions) {
    if ((options.key === undefined) === (options.token === undefined)) {
      throw new TypeError('Either key or token is needed, and not both.');
    }
    this.#options = options;
    this.#base = options.url.replace(/\/+$/, '');
  }

  /**
   * The parsed answer to a request; undefined for one without a body. Rejects with a `RollcallError`, or with the
   * signal's reason once that is aborted.
   */
  async call<T>(method: string, path: string, call: Call = {}): Promise<T> {
    const retries = call.retries ?? this.#options.retries ?? 2;
    for (let tried = 0; ; tried++) {
      try {
        return await this.#once<T>(method, path, call);
      } catch (error) {
        if (!(error instanceof RollcallError)) throw error;
        if (call.ends && tried > 0 && error.status === 404) return undefined as T;
        if (!error.mayPass || tried >= retries || (error.retryAfterMs ?? 0) > LONGEST_WAIT_MS) throw error;
        await wait(error.retryAfterMs ?? backOff(FIRST_WAIT_MS, tried), call.signal);
      }
    }
  }

  async #once<T>(method: string, path: string, call: Call): Promise<T> {
    const { query, body, signal, timeoutMs = this.#options.timeoutMs ?? 10_000 } = call;
    signal?.throwIfAborted();
    const headers: Record<string, string> = { authorization: `Bearer ${await this.#token()}` };
    if (body !== undefined) headers['content-type'] = 'application/json';
    const ended = new AbortController();
    const end = () => ended.abort();
    signal?.addEventListener('abort', end, { once: true });
    const timer = setTimeout(end, timeoutMs);
    try {
      const send = this.#options.fetch ?? (fetch as Fetch);
      const init = {
        method,
        headers,
        signal: ended.signal,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      };
      const answer = await send(this.#base + path + search(query), init);
      return readAnswer(answer.status, answer.headers.get('retry-after'), await answer.text(), call, this.#base) as T;
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof RollcallError) throw error;
      if (ended.signal.aborted) throw new RollcallError('TIMEOUT', `${this.#base} did not answer in ${timeoutMs} ms.`);
      throw new RollcallError('NOT_CONNECTED', `${this.#base} does not answer.`, { cause: error });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
    }
  }

  /**
   * The text of an answer that comes bit by bit. Throws a `RollcallError`, TIMEOUT where nothing comes for so long, or the
   * signal's reason once that is aborted.
   */
  async *stream(
    path: string,
    query: object,
    more: Record<string, string>,
    silentMs: number,
    signal?: AbortSignal,
  ): AsyncGenerator<string, void, void> {
    signal?.throwIfAborted();
    const headers = { ...more, authorization: `Bearer ${await this.#token()}` };
    const ended = new AbortController();
    const end = () => ended.abort();
    signal?.addEventListener('abort', end, { once: true });
    let timer = setTimeout(end, silentMs);
    try {
      const send = this.#options.fetch ?? (fetch as Fetch);
      const answer = await send(this.#base + path + search(query), { method: 'GET', headers, signal: ended.signal });
      const reader = answer.status === 200 ? (answer.body as Partial<Body> | null)?.getReader?.() : undefined;
      if (reader === undefined) {
        readAnswer(answer.status, answer.headers.get('retry-after'), await answer.text(), {}, this.#base);
        throw new RollcallError('NOT_ROLLCALL', `${this.#base} sends no events.`, { status: answer.status });
      }
      const decoder = new TextDecoder();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(timer);
        timer = setTimeout(end, silentMs);
        yield decoder.decode(value, { stream: true });
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof RollcallError) throw error;
      if (ended.signal.aborted)
        throw new RollcallError('TIMEOUT', `${this.#base} has said nothing for ${silentMs} ms.`);
      throw new RollcallError('NOT_CONNECTED', `${this.#base} does not answer.`, { cause: error });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      ended.abort();
    }
  }

  async #token(): Promise<string> {
    const { token, key, scope = 'presence:write', name, issuer, audience, keyId } = this.#options;
    if (token !== undefined) return typeof token === 'string' ? token : await token();
    if (this.#own === undefined || Date.now() > this.#own.renewAt) {
      const asked = { key: key as SigningKey, scope, name, issuer, audience, keyId, expiresInSeconds: TOKEN_SECONDS };
      this.#own = { token: signServiceToken(asked), renewAt: Date.now() + TOKEN_SECONDS * 1000 - RENEW_AHEAD_MS };
    }
    return await this.#own.token;
  }
}

function readAnswer(status: number, retryAfter: string | null, text: string, call: Call, base: string): unknown {
  const json = parsed(text);
  if (status === 204) return undefined;
  if (json !== undefined && (status < 300 || (status === 503 && call.takes503))) return json;
  const { code, message } = (json ?? {}) as { code?: unknown; message?: unknown };
  const seconds = Number(retryAfter ?? Number.NaN);
  const details = { status, retryAfterMs: seconds >= 0 ? seconds * 1000 : undefined };
  if (typeof code === 'string') throw new RollcallError(code, String(message), details);
  if (status >= 502 && status <= 504) throw new RollcallError('UNAVAILABLE', `A proxy answered ${status}.`, details);
  throw new RollcallError('NOT_ROLLCALL', `${base} answered ${status} and is no Rollcall: is the url right?`, details);
}

function parsed(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function search(query: object = {}): string {
  const named = Object.entries(query).filter(([, value]) => value !== undefined);
  const text = new URLSearchParams(named.map(([name, value]) => [name, String(value)])).toString();
  return text === '' ? '' : `?${text}`;
}

/** Twice as long each time up to half a minute, half of it by chance. */
export function backOff(firstMs: number, tried: number): number {
  const ms = Math.min(firstMs * 2 ** tried, LONGEST_WAIT_MS);
  return ms / 2 + Math.random() * (ms / 2);
}

/** Resolves after so long, or rejects with the signal's reason. */
export function wait(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const end = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', end);
      resolve();
    }, ms);
    signal?.addEventListener('abort', end, { once: true });
  });
}
