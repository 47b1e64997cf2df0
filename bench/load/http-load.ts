import { type Spread, spreadOf } from '../measure/statistics.ts';
import { HttpLine } from './http-line.ts';
import { serve } from './rpc.ts';
import { signToken } from './tokens.ts';

export interface HttpWork {
  url: string;
  /** null: no token. */
  secret: string | null;
  /** Tokens of so many services, in turn: one alone is limited. */
  services: number;
  /** `get`: one user's status; `query`: that of `users` users at once; `room`: the first page of `roomId`. */
  ask: 'get' | 'query' | 'room';
  roomId?: string;
  users: number;
  atOnce: number;
  seconds: number;
}

/** Requests over connections that stay open, the next as soon as one is answered. */
class HttpLoad {
  async run(work: HttpWork): Promise<{ requests: number; late: Spread }> {
    const requests = requestsOf(work);
    const tookMs: number[] = [];
    const until = performance.now() + work.seconds * 1000;
    let serial = 0;
    await Promise.all(
      Array.from({ length: work.atOnce }, async () => {
        const line = new HttpLine(work.url);
        try {
          while (performance.now() < until) {
            const from = performance.now();
            const status = await line.ask(requests[serial++ % requests.length] ?? '');
            if (status !== 200) throw new Error(`answered with ${status}`);
            tookMs.push(performance.now() - from);
          }
        } finally {
          line.close();
        }
      }),
    );
    return { requests: tookMs.length, late: spreadOf(tookMs) };
  }
}

export type { HttpLoad };

function requestsOf({ url, secret, services, ask, users, roomId }: HttpWork): string[] {
  const { host } = new URL(url);
  const ids = Array.from({ length: users }, (_, n) => `user-${n}`);
  const body = JSON.stringify({ userIds: ids });
  const tokens = Array.from({ length: services }, (_, n) =>
    secret === null ? '' : `authorization: Bearer ${signToken(secret, `service-${n}`, 'presence:read')}\r\n`,
  );
  if (ask === 'room') return tokens.map((token) => `GET /rooms/${roomId} HTTP/1.1\r\nhost: ${host}\r\n${token}\r\n`);
  if (ask === 'get') {
    return ids.map(
      (id, n) => `GET /users/${id}/status HTTP/1.1\r\nhost: ${host}\r\n${tokens[n % tokens.length] ?? ''}\r\n`,
    );
  }
  const type = `content-type: application/json\r\ncontent-length: ${body.length}\r\n`;
  return tokens.map((token) => `POST /users/status/query HTTP/1.1\r\nhost: ${host}\r\n${token}${type}\r\n${body}`);
}

serve(new HttpLoad());
