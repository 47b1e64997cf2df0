import type pg from 'pg';

type Rows = Record<string, unknown>[];

/** All that PostgreSQL knew of some users at some moment but their history: what a backup, or a standby that lags, brings back. */
export class Backup {
  readonly at = Date.now();
  readonly #userIds: readonly string[];
  readonly #tables = new Map<string, { columns: string[]; rows: Rows }>();

  private constructor(userIds: readonly string[]) {
    this.#userIds = userIds;
  }

  static async of(client: pg.Client, userIds: readonly string[]): Promise<Backup> {
    const backup = new Backup(userIds);
    // One moment for all tables.
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    for (const [table, columns] of await namingUsers(client)) {
      const found = await client.query(`SELECT to_jsonb(t) AS row FROM ${table} t WHERE ${anyOf(columns)}`, [userIds]);
      backup.#tables.set(table, { columns, rows: found.rows.map(({ row }) => row) });
    }
    await client.query('COMMIT');
    return backup;
  }

  /** Puts it back, those who were erased since included. */
  async restore(client: pg.Client): Promise<void> {
    await client.query('BEGIN');
    // A restore sets off no triggers.
    await client.query('SET LOCAL session_replication_role = replica');
    for (const [table, { columns, rows }] of this.#tables) {
      await client.query(`DELETE FROM ${table} WHERE ${anyOf(columns)}`, [this.#userIds]);
      await client.query(`INSERT INTO ${table} SELECT * FROM jsonb_populate_recordset(NULL::${table}, $1)`, [
        JSON.stringify(rows),
      ]);
    }
    await client.query('COMMIT');
  }
}

/** Tables that name users, and the columns that do; not the history, which is judged apart. */
async function namingUsers(client: pg.Client): Promise<Map<string, string[]>> {
  const { rows } = await client.query(
    `SELECT table_name AS name, json_agg(column_name) AS columns FROM information_schema.columns
      WHERE table_schema = 'public' AND table_name !~ '^(status_transitions|changes)'
        AND (column_name IN ('user_id', 'friend_id', 'blocked_id') OR (table_name, column_name) = ('users', 'id'))
      GROUP BY 1`,
  );
  return new Map(rows.map(({ name, columns }) => [name, columns]));
}

const anyOf = (columns: string[]) => columns.map((column) => `${column} = ANY($1)`).join(' OR ');
