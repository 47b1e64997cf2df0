import type { ChildProcess } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Whatever the processes of a run say is kept in one folder, together with the secrets they were given, and at the end of
 * the run looked through (see log-check.ts). Outside of a run nothing is kept.
 */
const FOLDER = 'ROLLCALL_RUN_LOGS';
const SECRETS = 'secrets';
const NAMES_A_SECRET = /SECRET|PASSWORD|PRIVATE_KEY|TOKEN/;
const SHORTEST_SECRET = 8;

export function keepLogsIn(folder: string): void {
  process.env[FOLDER] = folder;
}

/** What a process was given that it must not say again. */
export function secretsOf(env: NodeJS.ProcessEnv): string[] {
  const found: string[] = [];
  for (const [name, value = ''] of Object.entries(env)) {
    if (NAMES_A_SECRET.test(name) && !/^https?:/.test(value)) found.push(value);
    for (const [, user = '', password = ''] of value.matchAll(/\w:\/\/([^:/@\s]*):([^@/\s]+)@/g)) {
      found.push(password, `${user}:${password}@`);
      const meant = decodeURIComponent(password);
      // As a command or a header would say it, and as a line of JSON writes that.
      if (meant !== password) found.push(meant, JSON.stringify(meant).slice(1, -1));
      found.push(btoa(`${decodeURIComponent(user)}:${meant}`));
    }
    for (const [, given = ''] of value.matchAll(/[?&]\w*(?:password|secret|key|token)\w*=([^&\s]+)/gi))
      found.push(given);
    if (name.endsWith('_HEADERS'))
      found.push(...value.split(',').map((header) => header.replace(/^[^=]*=/, '').trim()));
  }
  const { ADMIN_USER: user = 'admin', ADMIN_PASSWORD: password } = env;
  if (password !== undefined) found.push(btoa(`${user}:${password}`));
  return [...new Set(found)].filter((secret) => secret.length >= SHORTEST_SECRET);
}

/** Keeps what a process says, from now on. */
export function keepLog(child: ChildProcess, env: NodeJS.ProcessEnv): void {
  const folder = process.env[FOLDER];
  if (folder === undefined) return;
  const secrets = secretsOf(env).map((secret) => `${JSON.stringify(secret)}\n`);
  if (secrets.length > 0) appendFileSync(join(folder, SECRETS), secrets.join(''));
  const file = join(folder, `${process.pid}-${child.pid}.log`);
  // At once, so that nothing is lost with a test that is stopped.
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (said) => appendFileSync(file, said));
}

const TOKEN = /eyJ[\w-]{5,}\.[\w-]{5,}(\.[\w-]*)?/;
const SAID_TO_BE_ONE = /\b(authorization|cookie)"?\s*[:=]\s*"?(?!\[hidden\])[^\s"]|\b(Bearer|Basic) [\w-]{20,}/i;
/** The arguments of a command to a store: of AUTH they are a password, of others what people wrote. */
const ARGUMENTS = /"(args|bindings)":\s*\[/;

export interface Leaks {
  /** How many lines were looked at. */
  lines: number;
  /** Where something was found, and in what line. */
  found: string[];
}

/** Every line of the folder that holds a token, a secret, a header that carries one, or what a command was given. */
export async function leaksIn(folder: string): Promise<Leaks> {
  const names = await readdir(folder);
  const given = names.includes(SECRETS) ? (await readFile(join(folder, SECRETS), 'utf8')).trim().split('\n') : [];
  const secrets = [...new Set(given)].map((secret) => String(JSON.parse(secret)));
  const leaks: Leaks = { lines: 0, found: [] };
  for (const name of names.filter((name) => name !== SECRETS)) {
    for (const line of (await readFile(join(folder, name), 'utf8')).split('\n')) {
      if (line === '') continue;
      leaks.lines++;
      const shaped = [TOKEN, SAID_TO_BE_ONE, ARGUMENTS].some((pattern) => pattern.test(line));
      if (shaped || secrets.some((secret) => line.includes(secret))) leaks.found.push(`${name}: ${line}`);
    }
  }
  return leaks;
}
