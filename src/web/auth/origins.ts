import type { IncomingMessage } from 'node:http';
import { isListed } from '../../config/allowed-origins.ts';
import type { Config } from '../../config/config.ts';
import type { Logger } from '../../log.ts';

/** Whatever is longer is no page of anybody's, and may hold what does not belong into a log. */
const LONGEST_TOLD = 100;
/** Origins are made up by whoever asks: no more of them than an operator wants to read. */
const MOST_TOLD = 100;

type Asked = Pick<IncomingMessage, 'headers'>;

/** Says which pages may ask, for REST and sockets alike. */
export class Origins {
  readonly #config: Pick<Config, 'corsOrigins' | 'trustProxy'>;
  readonly #log: Pick<Logger, 'warn'>;
  readonly #told = new Set<string>();

  constructor(config: Pick<Config, 'corsOrigins' | 'trustProxy'>, log: Pick<Logger, 'warn'>) {
    this.#config = config;
    this.#log = log;
  }

  /** Whether any foreign page may ask at all. */
  get any(): boolean {
    return this.#config.corsOrigins.length > 0;
  }

  /** The answer to CORS, for REST and sockets alike: `*`, or a function that says whether an origin is listed. */
  get cors(): '*' | ((origin: string | undefined, decide: (error: Error | null, allowed: boolean) => void) => void) {
    const { corsOrigins } = this.#config;
    if (corsOrigins.includes('*')) return '*';
    return (origin, decide) => decide(null, origin !== undefined && isListed(origin, corsOrigins));
  }

  /**
   * Whether the page that opens a connection may: the browser says which site it is of, and asks nobody for leave
   * before it does, for a WebSocket knows no CORS. Whatever sends no origin is no browser. A page that may not is told
   * to the log, once for each origin.
   */
  mayAsk(request: Asked): boolean {
    const { origin } = request.headers;
    if (origin === undefined || isListed(origin, this.#config.corsOrigins) || this.#isOwn(origin, request)) return true;
    this.#tell(origin);
    return false;
  }

  #isOwn(origin: string, { headers }: Asked): boolean {
    const url = URL.parse(origin);
    if (url === null || url.host === '' || !/^https?:$/.test(url.protocol)) return false;
    const forwarded = this.#config.trustProxy === 0 ? undefined : [headers['x-forwarded-host'] ?? []].flat()[0];
    // The scheme is left out: behind a proxy that ends TLS it is known to the browser alone.
    return [headers.host, forwarded].some(
      (own) => own !== undefined && URL.parse(`${url.protocol}//${own}`)?.host === url.host,
    );
  }

  #tell(origin: string): void {
    if (origin.length > LONGEST_TOLD || this.#told.has(origin) || this.#told.size >= MOST_TOLD) return;
    this.#told.add(origin);
    this.#log.warn({ origin }, 'A page of another origin was refused: if it is yours, name it in CORS_ORIGINS');
  }
}
