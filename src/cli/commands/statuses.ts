import type { Rollcall, UserStatus, Why } from '../../backend/index.ts';
import type { Command, Context } from '../command.ts';
import { clockTime, plain, shows, table } from '../output.ts';

/** So many at once are asked about. */
const PAGE = 1000;

/** `rollcall who`: who is online now, or how it is with those who are named. */
export const who: Command = {
  takes: '[user …]',
  does: 'lists who is online now, or how it is with these users',
  more: `Without users: those who are active, last seen latest first.

  --limit 100    at most so many
  --within 60    looks at who was seen in so many minutes (default 60, as long as any session may be silent)`,
  options: { limit: { type: 'string' }, within: { type: 'string' } },
  words: { least: 0, most: PAGE },
  async run(context) {
    const { given, backend } = context;
    const named = given.positionals;
    const limit = given.count('limit', 100);
    const users =
      named.length > 0
        ? (await backend().queryStatuses(named)).users
        : await active(backend(), limit, given.count('within', 60));
    const rows = users.map(({ userId, status, lastSeen }) => [userId, statusOf(context, status), clockTime(lastSeen)]);
    const text = users.length === 0 ? 'Nobody is online.' : table([['USER', 'STATUS', 'LAST SEEN'], ...rows]);
    context.say(text, { users });
  },
};

async function active(rollcall: Rollcall, limit: number, within: number): Promise<UserStatus[]> {
  const found: UserStatus[] = [];
  let cursor: string | undefined;
  do {
    const page = await rollcall.listActiveUsers({ within, limit: PAGE, cursor });
    if (page.users.length === 0) break;
    const { users } = await rollcall.queryStatuses(page.users.map(({ userId }) => userId));
    found.push(...users.filter(({ status }) => status === 'active'));
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined && found.length < limit);
  return found.slice(0, limit);
}

/** `rollcall why <user>`: the rule that a status goes by, and the sessions behind it. */
export const why: Command = {
  takes: '<user>',
  does: 'says why a user is online or offline, since when, and on which devices',
  words: { least: 1, most: 1 },
  async run(context) {
    const { given, backend, paint, say } = context;
    const [userId = ''] = given.positionals;
    const rollcall = backend();
    const [status, { sessions }] = await Promise.all([
      rollcall.getStatus(userId, { include: 'devices,detail,why' }),
      rollcall.listSessions(userId),
    ]);
    const { why: reason, detail } = status;
    const shown = shows({ ...detail });
    const lines = [
      `${userId} is ${statusOf(context, status.status)}, last seen ${clockTime(status.lastSeen)}`,
      ...(reason ? reasons(reason) : []),
      ...(shown === '' ? [] : [`  shows    ${shown}`]),
    ];
    const rows = sessions.map(({ sessionId, device, state, connectedAt, lastHeartbeat }) => [
      sessionId,
      device.kind,
      plain(device.name ?? ''),
      state,
      clockTime(connectedAt),
      clockTime(lastHeartbeat),
    ]);
    const head = ['SESSION', 'KIND', 'NAME', 'STATE', 'CONNECTED', 'LAST HEARD'].map((word) => paint('dim', word));
    const text =
      rows.length > 0 ? `${lines.join('\n')}\n\n${table([head, ...rows])}` : `${lines.join('\n')}\n  no session`;
    say(text, { ...status, sessions });
  },
};

const RULES: Record<Why['rule'], string> = {
  heartbeat: 'a session gives signs of life',
  manual: 'they chose to appear inactive',
  timeout: 'nothing was heard for the TTL',
  disconnect: 'the last connection was closed',
  logout: 'they were signed out',
  handover: 'their server was stopped, as by a deploy, and their device is awaited',
};

function reasons({ rule, sessionId, since, nextChangeAt }: Why): string[] {
  return [
    `  because  ${RULES[rule] ?? rule}${sessionId === null ? '' : ` (${sessionId})`}`,
    ...(since === null ? [] : [`  since    ${clockTime(since)}`]),
    ...(nextChangeAt === null ? [] : [`  changes  at ${clockTime(nextChangeAt)}, if nothing else happens`]),
  ];
}

function statusOf({ paint }: Context, status: 'active' | 'inactive'): string {
  return status === 'active' ? paint('green', 'online') : paint('dim', 'offline');
}
