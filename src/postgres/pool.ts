import { createRequire } from 'node:module';
import { connect } from 'node:net';
import type { Knex } from 'knex';
import pg from 'pg';
import { isSpoilt, noteOrigin } from './errors.ts';

/** Knex's client of PostgreSQL, as far as it is changed here. */
interface PostgresDialect {
  _driver(): object;
  acquireRawConnection(): Promise<object>;
  _query(connection: object, query: object): Promise<unknown>;
  cancelQuery(connection: object): Promise<void>;
}

const Dialect = createRequire(import.meta.url)('knex/lib/dialects/postgres/index.js') as new (
  config: Knex.Config,
) => PostgresDialect;

/** A pg.Client with what its types leave out. */
interface Connection {
  /** The pool drops what has one, and asks for it under this very name. */
  __knex__disposed?: unknown;
  host: string;
  port: number;
  processID: number;
  secretKey: number;
}

type Start = { getStartupConf(): Record<string, unknown> };

const CANCEL_LIMIT_MS = 2000;
/** PostgreSQL's number for a message that asks it to stop what another connection does. */
const CANCEL_REQUEST = 80_877_102;

/**
 * Times are read as text, which a database may be told to write in the order of days that is the custom there. So each
 * connection asks for ISO at its start: one of the few things that every pooler takes there and keeps for the client's own
 * connection, whichever connection of the server it is lent.
 */
class IsoClient extends pg.Client {
  getStartupConf(): Record<string, unknown> {
    const inherited = (pg.Client.prototype as unknown as Start).getStartupConf.call(this);
    return { ...inherited, DateStyle: 'ISO, MDY' };
  }
}

/**
 * Connections that work behind a pooler as well as without: nothing is set for a session, and where a statement takes too long
 * it is given up on this side.
 */
class PostgresClient extends Dialect {
  override _driver(): object {
    return Object.create(super._driver(), { Client: { value: IsoClient } });
  }

  override acquireRawConnection(): Promise<object> {
    return super.acquireRawConnection().catch(noteOrigin);
  }

  /** A connection whose server turns out to be the wrong one, or on its way out, is not handed out again. */
  override async _query(connection: Connection, query: object): Promise<unknown> {
    try {
      return await super._query(connection, query);
    } catch (error) {
      if (isSpoilt(error)) dispose(connection, error);
      return noteOrigin(error);
    }
  }

  /**
   * Knex's own way opens a connection of its pool and names a process, which behind a pooler is not the one. The server is
   * asked by the protocol to stop, as well as may be, and the connection that owes an answer is dropped in any case.
   */
  override async cancelQuery(connection: Connection): Promise<void> {
    dispose(connection, 'it owes an answer');
    const { host, port, processID, secretKey } = connection;
    const message = Buffer.alloc(16);
    for (const [n, word] of [16, CANCEL_REQUEST, processID, secretKey].entries()) message.writeInt32BE(word, 4 * n);
    const socket = connect(host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port });
    socket.on('error', () => {});
    socket.setTimeout(CANCEL_LIMIT_MS, () => socket.destroy());
    socket.end(message);
  }
}

/** Has the pool drop a connection instead of handing it out again. */
export function dispose(connection: object, why: unknown): void {
  (connection as Connection).__knex__disposed = why;
}

/** For `client` in Knex's settings, whose types know the name of a client only, or a class of all there is in one. */
export const postgresClient = PostgresClient as unknown as typeof Knex.Client;
