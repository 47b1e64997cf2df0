import type { Activity, DeviceKind } from '../client/index.ts';
import { tokenFor } from './devices.ts';

/** What the server tells of a user over HTTP, beside what the socket tells. */
export interface StatusAnswer {
  userId: string;
  status: 'active' | 'inactive';
  lastSeen: string | null;
  devices?: { kind: DeviceKind; state: Activity }[];
  why?: { rule: string; sessionId: string | null; since: string | null; nextChangeAt: string | null };
}

const RENEW_AFTER_MS = 30 * 60_000;

/** Questions over HTTP in the name of one user. Undefined where there is no answer: the page can do without. */
export function createRest(userId: string) {
  let token: Promise<string> | undefined;
  let renewAt = 0;

  async function ask<T>(path: string, init: RequestInit = {}): Promise<T | undefined> {
    try {
      if (!token || Date.now() > renewAt) {
        token = tokenFor(userId);
        renewAt = Date.now() + RENEW_AFTER_MS;
      }
      const headers = { authorization: `Bearer ${await token}`, 'content-type': 'application/json' };
      const answer = await fetch(path, { ...init, headers });
      return answer.ok ? ((await answer.json()) as T) : undefined;
    } catch {
      token = undefined;
      return undefined;
    }
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
  };
}

export type Rest = ReturnType<typeof createRest>;
