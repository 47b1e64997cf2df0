import type { DeviceKind } from '../client/index.ts';
import { tokenFor } from './devices.ts';

/** What the server tells of a user over HTTP, beside what the socket tells. */
export interface StatusAnswer {
  userId: string;
  status: 'active' | 'inactive';
  lastSeen: string | null;
  why?: {
    rule: string;
    sessionId: string | null;
    since: string | null;
    nextChangeAt: string | null;
    source: string | null;
  };
}

/** Who is here by a lease alone. */
export const AGENT = 'reading.agent';

export interface SessionAnswer {
  sessionId: string;
  lastHeartbeat: string;
  device: { kind: DeviceKind; name: string | null };
}

/** The most that were active at once in the minute that begins then; null: nobody counted. */
export interface TimelinePoint {
  at: string;
  active: number | null;
}

/** A room with somebody in it. */
export interface RoomCount {
  roomId: string;
  count: number;
}

const RENEW_AFTER_MS = 30 * 60_000;

/** What no client of the SDK asks: the demo's own backend, and the server's reasons, in the name of one user. */
export function createRest(userId: string) {
  const own = `/users/${encodeURIComponent(userId)}`;
  let token: Promise<string> | undefined;
  let renewAt = 0;

  async function send(path: string, init: RequestInit = {}): Promise<Response> {
    try {
      if (!token || Date.now() > renewAt) {
        token = tokenFor(userId);
        renewAt = Date.now() + RENEW_AFTER_MS;
      }
      const headers = { authorization: `Bearer ${await token}`, 'content-type': 'application/json' };
      return await fetch(path, { ...init, headers });
    } catch (error) {
      token = undefined;
      throw error;
    }
  }

  /** Undefined where there is no answer: the page can do without. */
  async function ask<T>(path: string, init?: RequestInit): Promise<T | undefined> {
    try {
      const answer = await send(path, init);
      return answer.ok ? ((await answer.json()) as T) : undefined;
    } catch {
      return undefined;
    }
  }

  /** Throws with the server's words where it was not done. */
  async function wish(path: string, body: object): Promise<void> {
    const init = { method: 'POST', body: JSON.stringify(body) };
    const answer = await send(path, init).catch(() => {
      throw new Error('The server does not answer.');
    });
    if (answer.ok) return;
    const said: { message?: string } = await answer.json().catch(() => ({}));
    throw new Error(said.message ?? 'The server did not do it.');
  }

  return {
    status: (id: string, include: string) =>
      ask<StatusAnswer>(`/users/${encodeURIComponent(id)}/status?include=${include}`),
    async statuses(userIds: readonly string[]): Promise<StatusAnswer[]> {
      if (userIds.length === 0) return [];
      const body = JSON.stringify({ userIds });
      const answer = await ask<{ users: StatusAnswer[] }>('/users/status/query', { method: 'POST', body });
      return answer?.users ?? [];
    },
    /** Figures are for backends, so it is the demo's own that asks for them. */
    timeline: () => ask<{ points: TimelinePoint[] }>('/demo/timeline'),
    fullest: () => ask<{ rooms: RoomCount[] }>('/demo/rooms'),
    /** Services' to say, so it is the demo's own backend that plays a calendar, a call server and an agent. */
    say: (source: string, says: boolean) => wish('/demo/said', { userId, source, says }),
    sendAgent: (comes: boolean) => wish('/demo/agent', { comes }),
    sessions: () => ask<{ sessions: SessionAnswer[] }>(`${own}/sessions`),
    /** The host application's to say, so it is the demo's own backend that is asked. */
    befriend: (id: string) => wish('/demo/friends', { userId, friendId: id }),
  };
}

export type Rest = ReturnType<typeof createRest>;
