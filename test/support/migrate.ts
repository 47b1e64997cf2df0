import { fileURLToPath } from 'node:url';
import { run } from '../../scripts/embedded/programs.ts';

const script = fileURLToPath(new URL('../../scripts/migrate.ts', import.meta.url));

/** Brings a database up to date the way an operator does: by the script, in a process of its own. */
export async function migrate(databaseUrl: string): Promise<void> {
  const { ok, output } = await run(process.execPath, [script], {
    env: { ...process.env, DATABASE_URL: databaseUrl },
  });
  if (!ok) throw new Error(`The migration failed:\n${output}`);
}
