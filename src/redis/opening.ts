import { roomsArgument, storedArgument } from './presence-scripts.ts';
import type { OpenCode, Opened, OpenRequest, Stored } from './presence-types.ts';
import type { Reply } from './scripts.ts';
import { stateCode } from './touch.ts';

/** What `open-session` takes of a user, behind the place of the shard; all of it happened `waitedMs` earlier than was said. */
export function openArguments(request: OpenRequest, stored: Stored | null, waitedMs: number): (string | number)[] {
  return [
    request.userId,
    request.sessionId,
    request.conn,
    Math.round(request.beatAgeMs + waitedMs),
    Math.round(request.connectedAgeMs + waitedMs),
    request.kind ?? '',
    stateCode(request.state),
    request.ttlMs ?? '',
    request.name,
    request.maxSessions,
    request.mode,
    request.claims ? JSON.stringify(request.claims) : '',
    roomsArgument(request.rooms),
    storedArgument(stored),
    request.appear ?? '',
  ];
}

/** What `open-session` answers for a user. */
export function openedOf(reply: Reply[]): Opened {
  const [code, version, _active, _number, _delay, endsAt, _sooner, state, hiddenMs] = reply;
  const remainingMs = Number(hiddenMs);
  return {
    code: code as OpenCode,
    version: Number(version),
    endsAt: Number(endsAt),
    state: state === '' ? null : state === 'i' ? 'idle' : 'active',
    hidden: hiddenMs === '' ? null : { remainingMs: remainingMs < 0 ? null : remainingMs },
  };
}
