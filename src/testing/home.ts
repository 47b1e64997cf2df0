import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** What lies there in Rollcall's folder, and nowhere else. */
const MARK = join('scripts', 'dev.ts');

/**
 * Rollcall's own folder, a checkout, from which the service is started: the one given, ROLLCALL_HOME, this folder where it is
 * one, or `../rollcall` beside it. Throws an error that says what to do where there is none.
 */
export function findHome(given?: string, env: Record<string, string | undefined> = process.env): string {
  const named = given ?? (env.ROLLCALL_HOME || undefined);
  const places = named === undefined ? ['.', join('..', 'rollcall')] : [named];
  const found = places.find((place) => existsSync(join(place, MARK)));
  if (found !== undefined) return resolve(found);
  throw new Error(
    named === undefined
      ? 'Rollcall’s folder is needed to start the service, and is neither this one nor ../rollcall: clone it there, or name it with ROLLCALL_HOME.'
      : `${resolve(named)} is not Rollcall’s folder: it has no ${MARK}.`,
  );
}
