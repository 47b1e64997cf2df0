import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * First step of docker-compose.yml: makes the passwords when it is run for the first time, and leaves for each service what
 * it reads of them, in a folder of its own, every time.
 *   node scripts/compose-secrets.ts <folder>
 */
const FOR_ROOT = 0o600;
/** Each folder is a volume that only the containers of its service see; in these no user is root. */
const FOR_SERVICE = 0o444;

interface Secrets {
  postgres: string;
  redis: string;
  jwt: string;
  admin: string;
}

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: node scripts/compose-secrets.ts <folder>');
const { postgres, redis, jwt, admin } = await keptSecrets(join(folder, 'secrets.json'));
await write(join(folder, 'postgres', 'password'), postgres);
await write(join(folder, 'redis', 'password'), redis);
await write(join(folder, 'redis', 'redis.conf'), `requirepass ${redis}\n`);
await write(join(folder, 'rollcall', 'settings.sh'), settings());

async function keptSecrets(file: string): Promise<Secrets> {
  const kept: Partial<Secrets> = JSON.parse(await readFile(file, 'utf8').catch(orNothing));
  const secret = () => randomBytes(32).toString('hex');
  // A database that has a password already keeps it.
  const given = process.env.POSTGRES_PASSWORD || secret();
  const secrets = { postgres: given, redis: secret(), jwt: secret(), admin: secret(), ...kept };
  await write(file, JSON.stringify(secrets), FOR_ROOT);
  return secrets;
}

function orNothing(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return '{}';
  throw error;
}

/** For a shell. What was set by hand goes before what was made, except where the stores are: that is the compose file's affair. */
function settings(): string {
  const inUrl = encodeURIComponent(postgres).replaceAll("'", '%27');
  return `export DATABASE_URL='postgres://rollcall:${inUrl}@postgres:5432/rollcall'
export REDIS_URL='redis://:${redis}@redis:6379'
[ -n "$JWT_SECRET$JWT_PUBLIC_KEY$JWKS_URL" ] || export JWT_SECRET='${jwt}'
[ -n "$ADMIN_PASSWORD" ] || export ADMIN_PASSWORD='${admin}'
`;
}

/** Whole or not at all, whenever the machine stops. */
async function write(file: string, text: string, mode = FOR_SERVICE): Promise<void> {
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(`${file}.new`, text, { mode, flush: true });
  await rename(`${file}.new`, file);
}
