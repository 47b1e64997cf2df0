import { ConfigError, readDatabaseConfig } from '../src/config/config.ts';
import { migrate } from '../src/postgres/migrate.ts';

try {
  const { databaseUrl, databaseSsl } = readDatabaseConfig();
  const names = await migrate(databaseUrl, databaseSsl);
  for (const name of names) console.log(`applied ${name}`);
  console.log(names.length === 0 ? 'The database was up to date already.' : 'The database is up to date.');
} catch (error) {
  console.error(error instanceof ConfigError ? error.message : `The migration failed: ${describe(error)}`);
  process.exitCode = 1;
}

/** Several addresses that refuse at once come as one error without a text of its own. */
function describe(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describe).join('; ');
  return error instanceof Error ? error.message : String(error);
}
