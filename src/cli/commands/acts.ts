import { signServiceToken, signUserToken } from '../../backend/index.ts';
import { type Command, UsageError } from '../command.ts';

/** `rollcall token <user>`: signs one with the server's key. */
export const token: Command = {
  takes: '<user> [--for 1h]',
  does: 'signs a token for a user, or with --service for a backend',
  more: `It prints the token alone: curl -H "authorization: Bearer $(npx rollcall token ada)" …

  --for 1h           how long it holds: seconds, or 10m, 1h, 1d (default 1h)
  --claim name=Ada   a further claim; a value that is JSON is taken as such: --claim 'rooms=["page:*"]'
  --service write    for a backend, with the scope presence:write (or read); <user> is then its name, and may be left out`,
  options: {
    for: { type: 'string' },
    claim: { type: 'string', multiple: true },
    service: { type: 'string' },
  },
  words: { least: 0, most: 1 },
  async run({ given, secret, say }) {
    const [userId] = given.positionals;
    const expiresInSeconds = secondsOf(given.text('for') ?? '1h');
    const lasting = { key: secret(), expiresInSeconds };
    const expiresAt = new Date(Date.now() + expiresInSeconds * 1000).toISOString();
    const right = given.text('service');
    if (right !== undefined) {
      if (right !== 'read' && right !== 'write') throw new UsageError('--service takes read or write.');
      const scope = `presence:${right}` as const;
      const made = await signServiceToken({ ...lasting, scope, name: userId });
      return say(made, { token: made, scope, expiresAt });
    }
    if (userId === undefined) throw new UsageError('It is: rollcall token <user>, or rollcall token --service write');
    const claims = Object.fromEntries(given.texts('claim').map(claimOf));
    const made = await signUserToken({ ...lasting, userId, claims });
    say(made, { token: made, userId, expiresAt });
  },
};

/** `rollcall kick <user>`: signs somebody out. */
export const kick: Command = {
  takes: '<user> [--session …] [--room …]',
  does: 'signs a user out everywhere, on one device, or out of a room',
  more: `Their devices are told, and stay away until somebody signs in there anew; a room may be entered again.

  --session <id>   that device alone; "rollcall why <user>" lists them
  --room <id>      puts them out of that room, and signs nobody out`,
  options: { session: { type: 'string' }, room: { type: 'string' } },
  words: { least: 1, most: 1 },
  async run({ given, backend, ask, say }) {
    const [userId = ''] = given.positionals;
    const [sessionId, roomId] = [given.text('session'), given.text('room')];
    if (sessionId !== undefined && roomId !== undefined) throw new UsageError('Either --session or --room, not both.');
    if (roomId !== undefined) {
      await ask('DELETE', `/rooms/${encodeURIComponent(roomId)}/users/${encodeURIComponent(userId)}`);
      say(`${userId} is put out of the room ${roomId}.`, { userId, roomId });
    } else if (sessionId !== undefined) {
      await backend().removeSession(userId, sessionId);
      say(`${userId} is signed out on that device.`, { userId, sessionId });
    } else {
      await backend().logout({ userId });
      say(`${userId} is signed out everywhere.`, { userId });
    }
  },
};

const UNITS: Record<string, number> = { '': 1, s: 1, m: 60, h: 3600, d: 86_400 };

function secondsOf(text: string): number {
  const [, count, unit = ''] = /^(\d{1,9})([smhd]?)$/.exec(text) ?? [];
  if (count === undefined) throw new UsageError(`--for takes seconds, or 10m, 1h, 1d, and not ${text}`);
  return Number(count) * (UNITS[unit] ?? 1);
}

function claimOf(text: string): [string, unknown] {
  const [, name, value = ''] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (name === undefined) throw new UsageError(`--claim takes name=value, and not ${text}`);
  try {
    return [name, JSON.parse(value)];
  } catch {
    return [name, value];
  }
}
