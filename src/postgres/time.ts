import type { Knex } from 'knex';
import { query } from './connect.ts';

/**
 * SQL that makes a timestamp of an SQL expression in milliseconds since 1970: exact to the millisecond, since an
 * interval is multiplied in whole microseconds (`to_timestamp` would go through fractions of seconds). Null stays null.
 */
export function timestampOf(msExpression: string): string {
  return `(timestamptz 'epoch' + (${msExpression}) * interval '1 millisecond')`;
}

/** Milliseconds since 1970 of a timestamptz as pg hands it over; the microseconds below are never written here. */
export function msOf(time: Date | null): number | null {
  return time === null ? null : time.getTime();
}

/** PostgreSQL's clock (ms). */
export async function postgresNow(db: Knex): Promise<number> {
  const [row] = await query<{ now: Date }>(db, 'SELECT now()', []);
  return row?.now.getTime() ?? 0;
}
