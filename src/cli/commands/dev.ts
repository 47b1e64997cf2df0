import { signServiceToken, signUserToken } from '../../backend/index.ts';
import { startServiceProcess } from '../../testing/service-process.ts';
import { type Command, UsageError } from '../command.ts';
import { whenOrphaned } from '../orphaned.ts';
import { settingsInFile } from '../settings.ts';

const DAY_SECONDS = 86_400;
/** Settings that somebody may miss. Others of a file `.env` may be another application's; stores and origins are said to differ. */
const OF_ROLLCALL =
  /^(ADMIN_|ALERT_|AUDIENCE$|BOARD_|DETAIL_ORDER$|HANDOVER_|HEARTBEAT_|JWT_(ISSUER|AUDIENCE|PUBLIC_KEY)$|JWKS_URL$|MAX_|PRESENCE_TTL_|ROOMS?_|VAPID_|WEBHOOK)/;

/** `rollcall dev`: the whole service on stores of its own, until Ctrl-C. */
export const dev: Command = {
  takes: '[--port 3000] [--user ada …]',
  does: 'starts Rollcall on a private Redis and PostgreSQL, for development',
  more: `Everything it stored is gone when it ends. It is started from Rollcall's folder: this one, ../rollcall, or ROLLCALL_HOME.
Of the environment and .env it takes JWT_SECRET alone, so that your backend's tokens fit; without one it is made up.

  --port 3000        0: any free one
  --user ada         prints a token of a day for each of them (default: ada and grace)
  --set NAME=VALUE   a setting of Rollcall, such as --set PRESENCE_TTL_SECONDS=10; CORS_ORIGINS is * unless it is set
  --logs             shows what web and worker log`,
  options: {
    port: { type: 'string' },
    user: { type: 'string', multiple: true },
    set: { type: 'string', multiple: true },
    logs: { type: 'boolean' },
  },
  words: { least: 0, most: 0 },
  async run({ io, given, say, note, paint, secretIfAny }) {
    // Looked at before anything is started or said: it may be killed as soon as that is read.
    const npmGone = new Promise<void>((resolve) => whenOrphaned(resolve));
    const own = secretIfAny();
    const settings = {
      PORT: String(given.count('port', 3000)),
      DISCONNECT_GRACE_SECONDS: '5',
      ...(own === undefined ? {} : { JWT_SECRET: own }),
      ...Object.fromEntries(given.texts('set').map(settingOf)),
    };
    const passedOver = settingsInFile().filter((name) => OF_ROLLCALL.test(name) && !(name in settings));
    if (passedOver.length > 0) note(`Of .env these are left out; --set NAME=VALUE has them: ${passedOver.join(', ')}`);
    note('Starting a private Redis and PostgreSQL, a web and a worker …');
    const service = await startServiceProcess({ settings, logs: given.flag('logs') ? 'all' : 'errors' });
    const { url, secret } = service;
    const lasting = { key: secret, expiresInSeconds: DAY_SECONDS };
    const named = given.texts('user');
    const users = named.length > 0 ? named : ['ada', 'grace'];
    const tokens = await Promise.all(
      users.map(async (userId) => [userId, await signUserToken({ ...lasting, userId })]),
    );
    const serviceToken = await signServiceToken({ ...lasting, scope: 'presence:write' });
    const lines = tokens.map(([userId, token]) => `  ${paint('bold', String(userId))}  ${token}`);
    say(
      `
Rollcall is running at ${paint('green', url)} (its API: ${url}/docs). Ctrl-C stops it, and what it stored is gone.

For your backend, and for rollcall in another terminal:

  export ROLLCALL_URL=${url} JWT_SECRET=${secret}

Tokens of a day, of users:

${lines.join('\n')}

and of a backend, which may read and act for anyone:

  ${serviceToken}
`,
      {
        url,
        secret,
        tokens: Object.fromEntries(tokens),
        serviceToken,
        redisUrl: service.redisUrl,
        databaseUrl: service.databaseUrl,
      },
    );
    const code = await Promise.race([service.ended, untilEnded(io.signal, npmGone)]);
    if (code !== undefined && !io.signal.aborted) throw new Error(`Rollcall ended by itself:\n${service.lastLines()}`);
    await service.stop();
  },
};

function settingOf(text: string): [string, string] {
  const [, name, value] = /^([A-Z][A-Z0-9_]*)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new UsageError(`--set takes NAME=VALUE, and not ${text}`);
  return [name, value];
}

function untilEnded(signal: AbortSignal, npmGone: Promise<void>): Promise<undefined> {
  return new Promise((resolve) => {
    // A promise alone keeps no process alive.
    const staying = setInterval(() => {}, 60_000);
    const end = () => {
      clearInterval(staying);
      resolve(undefined);
    };
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
    void npmGone.then(end);
  });
}
