import { readFileSync } from 'node:fs';
import * as util from 'node:util';
import { Http } from '../backend/http.ts';
import { Rollcall, signServiceToken } from '../backend/index.ts';
import { type Context, UsageError } from './command.ts';

const DEFAULT_URL = 'http://127.0.0.1:3000';
/** Who acts, in logs and in what is kept of acts. */
const NAME = 'rollcall-cli';

/** Where Rollcall is and by whose right it is asked: from the line, the environment, or a file `.env` in this folder. */
export function readSettings(
  env: Record<string, string | undefined>,
  given: string | undefined,
): Pick<Context, 'url' | 'secret' | 'secretIfAny' | 'serviceToken' | 'backend' | 'ask'> {
  const file = env.ROLLCALL_TOKEN || env.JWT_SECRET ? {} : fromFile();
  const { ROLLCALL_TOKEN: token, JWT_SECRET: key, JWT_ISSUER: issuer, JWT_AUDIENCE: audience } = { ...file, ...env };
  const url = given || env.ROLLCALL_URL || file.ROLLCALL_URL || DEFAULT_URL;
  if (!/^https?:\/\//.test(url)) throw new UsageError(`The address must begin with http:// or https://, and is ${url}`);
  const secret = () => {
    if (key) return key;
    throw new UsageError(`A token is signed with the server's key: set JWT_SECRET to what Rollcall has in its .env.`);
  };
  const identity = () => {
    if (token) return { token };
    if (key) return { key, issuer: issuer || undefined, audience: audience || undefined };
    throw new UsageError(
      'Rollcall wants to know who asks: set JWT_SECRET to what it has in its .env, or ROLLCALL_TOKEN to a token with ' +
        'the scope presence:write. "rollcall dev" prints a line to paste.',
    );
  };
  return {
    url,
    secret,
    secretIfAny: () => key || undefined,
    serviceToken: async () => {
      const by = identity();
      return 'token' in by ? by.token : signServiceToken({ ...by, scope: 'presence:write', name: NAME });
    },
    backend: () => new Rollcall({ url, name: NAME, ...identity() }),
    ask: (method, path, query) => new Http({ url, name: NAME, ...identity() }).call(method, path, { query }),
  };
}

/** What a file `.env` in this folder sets, by name. */
export function settingsInFile(): string[] {
  return Object.keys(fromFile());
}

/** The settings of `.env`, where there is one; older Node reads none. */
function fromFile(): Record<string, string | undefined> {
  try {
    return util.parseEnv(readFileSync('.env', 'utf8'));
  } catch {
    return {};
  }
}
