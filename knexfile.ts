import type { Knex } from 'knex';
import { readDatabaseConfig } from './src/config/config.ts';
import { migrationConfig } from './src/postgres/migrate.ts';

/** For Knex's own command line, as in `knex migrate:make`; `npm run migrate` is the way to run them. */
export default async function configure(): Promise<Knex.Config> {
  const { databaseUrl, databaseSsl } = readDatabaseConfig();
  return migrationConfig(databaseUrl, databaseSsl);
}
