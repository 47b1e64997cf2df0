import type { Knex } from 'knex';
import { ANSWER_LIMIT_MS, type Binding, query } from './connect.ts';

/** For a statement in a transaction, and between two of them, on the server's side: locks are held meanwhile. */
const LIMIT_MS = 10_000;
/** In one message, and gone with the transaction: a pooler lends the server's connection to somebody else afterwards. */
const BEGIN = [
  'BEGIN',
  `SET LOCAL statement_timeout = ${LIMIT_MS}`,
  `SET LOCAL idle_in_transaction_session_timeout = ${LIMIT_MS}`,
].join('; ');

/** One statement on a connection that is settled already. */
export type Ask = <Row>(sql: string, bindings?: readonly Binding[]) => Promise<Row[]>;

/** A way to ask by any connection of the pool, for what can also run inside a transaction. */
export function asking(db: Knex): Ask {
  return (sql, bindings = []) => query(db, sql, bindings);
}

interface Connections {
  acquireConnection(): Promise<object>;
  releaseConnection(connection: object): Promise<void>;
}

/** Runs work that asks by one and the same connection, which it may have dropped afterwards (`dispose`). */
export async function onOneConnection<T>(db: Knex, work: (ask: Ask, connection: object) => Promise<T>): Promise<T> {
  const connections: Connections = db.client;
  const connection = await connections.acquireConnection();
  const ask: Ask = async <Row>(sql: string, bindings: readonly Binding[] = []) => {
    const asked = db.raw<{ rows: Row[] }>(sql, [...bindings] as Knex.RawBinding[]);
    return (await asked.connection(connection).timeout(ANSWER_LIMIT_MS, { cancel: true })).rows;
  };
  try {
    return await work(ask, connection);
  } finally {
    await connections.releaseConnection(connection);
  }
}

/**
 * Runs work in a transaction: all of it or nothing. Knex's own transactions wait without end for a BEGIN or COMMIT that
 * a frozen server owes; here every statement has the limit of `query`, and a connection that owes an answer is thrown
 * away. Where the answer to the COMMIT is lost, nobody knows whether the work was done: it has to bear being done
 * again.
 */
export function inTransaction<T>(db: Knex, work: (ask: Ask) => Promise<T>): Promise<T> {
  return onOneConnection(db, async (ask) => {
    try {
      await ask(BEGIN);
      const result = await work(ask);
      await ask('COMMIT');
      return result;
    } catch (error) {
      // What owes an answer would only owe one more.
      if (!(error instanceof Error && error.name === 'KnexTimeoutError')) await ask('ROLLBACK').catch(() => {});
      throw error;
    }
  });
}
