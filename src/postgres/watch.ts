import { readdirSync } from 'node:fs';
import type { Knex } from 'knex';
import { Ticker } from '../lifecycle.ts';
import type { Logger } from '../log.ts';
import { codeOf, isConnectionError, isRefusal } from './errors.ts';
import { dispose } from './pool.ts';
import { type Ask, onOneConnection } from './transaction.ts';

const LOOK_EVERY_MS = 5000;
const SAY_EVERY_MS = 60_000;
const MIGRATIONS = new URL('../../migrations/', import.meta.url);

/** By SQLSTATE, its class, or the network's code: what is the matter and what to do, without addresses and names. */
const REASONS: Record<string, string> = {
  '28P01': 'PostgreSQL refuses the password in DATABASE_URL',
  '28': 'PostgreSQL refuses the user in DATABASE_URL',
  '3D000': 'PostgreSQL has no database of the name in DATABASE_URL',
  '42P01': 'A table is missing: npm run migrate makes it',
  '42703': 'A column is missing: npm run migrate makes it',
  '42501': 'The user in DATABASE_URL may not use the tables',
  '25006': 'PostgreSQL is read only: it is a standby, or its disk is full; DATABASE_URL has to name the primary',
  '53300': 'PostgreSQL has as many connections as its max_connections allows',
  '53': 'PostgreSQL is short of memory, disk or connections',
  '57P03': 'PostgreSQL is starting, stopping or recovering',
  '57': 'PostgreSQL was stopped, or an operator ended the connection',
  '08P01': 'A pooler in front of PostgreSQL does not understand what is asked of it',
  ECONNREFUSED: 'PostgreSQL is not answering: nothing listens where DATABASE_URL leads',
  ENOTFOUND: 'The host in DATABASE_URL has no address',
  EAI_AGAIN: 'The host in DATABASE_URL has no address',
};
const SILENT = 'PostgreSQL is not answering in time, or cut the connection.';
const READ_ONLY = `${REASONS['25006']} (25006).`;
const TLS = /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO)|does not support ssl/i;

/** Why PostgreSQL cannot be used, in a sentence, as an error of its client says. */
export function absenceReasonOf(error: unknown): string {
  const inner = error instanceof AggregateError ? error.errors[0] : error;
  const code = codeOf(inner) ?? '';
  if (TLS.test(code) || TLS.test(String(inner))) {
    return 'TLS to PostgreSQL fails: see DATABASE_SSL, and sslmode in DATABASE_URL.';
  }
  const known = REASONS[code] ?? REASONS[code.slice(0, 2)];
  if (known) return `${known} (${code}).`;
  if (isRefusal(error)) return `PostgreSQL refuses what it is asked (${code}).`;
  if (!isConnectionError(error)) return 'PostgreSQL answers with an error that the log shows.';
  return code ? `PostgreSQL is not answering (${code}).` : SILENT;
}

/** Looks whether PostgreSQL can be used, and says in the log when that ends, that it goes on (each minute), and when it is over. */
export class PostgresWatch {
  readonly #db: Knex;
  readonly #log: Logger;
  readonly #wanted = readdirSync(MIGRATIONS).filter((name) => name.endsWith('.ts'));
  readonly #looks = new Ticker(LOOK_EVERY_MS, () => void this.look());
  #looking: Promise<string | null> | null = null;
  #reason: string | null = null;
  #saidAt = 0;
  #migrated = false;
  #hasLooked = false;
  #stopped = false;

  constructor(db: Knex, log: Logger) {
    this.#db = db;
    this.#log = log;
  }

  /** Begins to look, again and again. */
  start(): void {
    if (this.#stopped) return;
    this.#looks.start();
    void this.look();
  }

  /** Looks no more; resolves once no look is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#looks.stop();
    await this.#looking;
  }

  /** Why PostgreSQL cannot be used now, null where it can; never rejects. One look at a time. */
  look(): Promise<string | null> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async #look(): Promise<string | null> {
    let detail: string | undefined;
    const ask = () =>
      this.#ask().catch((error: unknown) => {
        detail = error instanceof AggregateError ? String(error.errors[0]) : String(error);
        return absenceReasonOf(error);
      });
    let reason = await ask();
    // A process that starts is too busy itself to hear of an answer in time.
    if (reason === SILENT && !this.#hasLooked && !this.#stopped) reason = await ask();
    this.#hasLooked = true;
    if (!this.#stopped) this.#say(reason, detail);
    return reason;
  }

  #ask(): Promise<string | null> {
    return onOneConnection(this.#db, async (ask, connection) => {
      const [state] = await ask<{ read_only: boolean }>(
        `SELECT current_setting('transaction_read_only') = 'on' AS read_only`,
      );
      if (!state?.read_only) return this.#migrated ? null : this.#lacking(ask);
      // The next one may lead to the primary.
      dispose(connection, 'it is read only');
      return READ_ONLY;
    });
  }

  async #lacking(ask: Ask): Promise<string | null> {
    const applied = new Set((await ask<{ name: string }>('SELECT name FROM knex_migrations')).map(({ name }) => name));
    const missing = this.#wanted.filter((name) => !applied.has(name)).length;
    if (missing > 0) return `PostgreSQL lacks ${missing} of ${this.#wanted.length} migrations: run npm run migrate.`;
    this.#migrated = true;
    return null;
  }

  #say(reason: string | null, detail: string | undefined): void {
    const before = this.#reason;
    const now = performance.now();
    this.#reason = reason;
    if (reason === null) {
      if (before !== null) this.#log.info('PostgreSQL can be used again');
      return;
    }
    // Another database may have been put in its place.
    this.#migrated = false;
    if (reason === before && now - this.#saidAt < SAY_EVERY_MS) return;
    this.#saidAt = now;
    this.#log.warn({ reason, detail }, 'PostgreSQL cannot be used; presence goes on, and what is to be stored waits');
  }
}
