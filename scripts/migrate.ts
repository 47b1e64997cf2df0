import { ConfigError, readDatabaseConfig } from '../src/config/config.ts';
import { codeOf, isConnectionError } from '../src/postgres/errors.ts';
import { migrate } from '../src/postgres/migrate.ts';
import { absenceReasonOf } from '../src/postgres/watch.ts';

try {
  const { databaseUrl, databaseSsl } = readDatabaseConfig();
  const names = await migrate(databaseUrl, databaseSsl);
  for (const name of names) console.log(`applied ${name}`);
  console.log(names.length === 0 ? 'The database was up to date already.' : 'The database is up to date.');
} catch (error) {
  console.error(error instanceof ConfigError ? error.message : `The migration failed: ${reasonOf(error)}`);
  process.exitCode = 1;
}

/** What the matter is where PostgreSQL is to blame; of a statement that it refuses its own words say more. */
function reasonOf(error: unknown): string {
  const isAway = isConnectionError(error) && !codeOf(error)?.startsWith('42');
  return isAway ? `${absenceReasonOf(error)} ${describe(error)}` : describe(error);
}

/** Several addresses that refuse at once come as one error without a text of its own. */
function describe(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describe).join('; ');
  return error instanceof Error ? error.message : String(error);
}
