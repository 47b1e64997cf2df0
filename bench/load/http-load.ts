import { connect, type Socket } from 'node:net';
import { type Spread, spreadOf } from '../measure/statistics.ts';
import { serve } from './rpc.ts';
import { signToken } from './tokens.ts';

const HEAD_END = Buffer.from('\r\n\r\n');

export interface HttpWork {
  url: string;
  /** null: no token. */
  secret: string | null;
  /** Tokens of so many services, in turn: one alone is limited. */
  services: number;
  /** `get`: one user's status; `query`: that of `users` users at once. */
  ask: 'get' | 'query';
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
        const line = new Line(work.url);
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

function requestsOf({ url, secret, services, ask, users }: HttpWork): string[] {
  const { host } = new URL(url);
  const ids = Array.from({ length: users }, (_, n) => `user-${n}`);
  const body = JSON.stringify({ userIds: ids });
  const tokens = Array.from({ length: services }, (_, n) =>
    secret === null ? '' : `authorization: Bearer ${signToken(secret, `service-${n}`, 'presence:read')}\r\n`,
  );
  if (ask === 'get') {
    return ids.map(
      (id, n) => `GET /users/${id}/status HTTP/1.1\r\nhost: ${host}\r\n${tokens[n % tokens.length] ?? ''}\r\n`,
    );
  }
  const type = `content-type: application/json\r\ncontent-length: ${body.length}\r\n`;
  return tokens.map((token) => `POST /users/status/query HTTP/1.1\r\nhost: ${host}\r\n${token}${type}\r\n${body}`);
}

/** One connection; a request at a time, answers with a length. */
class Line {
  readonly #socket: Socket;
  #chunks: Buffer[] = [];
  #size = 0;
  #wanted = 0;
  #status = 0;
  #answered: { resolve: (status: number) => void; reject: (error: Error) => void } | null = null;

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.#socket = connect({ host: hostname, port: Number(port), noDelay: true });
    this.#socket.on('data', (bytes) => this.#take(bytes));
    this.#socket.on('error', (error) => this.#answered?.reject(error));
    this.#socket.on('close', () => this.#answered?.reject(new Error('The connection was closed.')));
  }

  ask(request: string): Promise<number> {
    this.#socket.write(request);
    return new Promise((resolve, reject) => {
      this.#answered = { resolve, reject };
    });
  }

  close(): void {
    this.#answered = null;
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    this.#chunks.push(bytes);
    this.#size += bytes.length;
    if (this.#wanted === 0) {
      const whole = Buffer.concat(this.#chunks);
      const end = whole.indexOf(HEAD_END);
      if (end < 0) return;
      const head = whole.toString('latin1', 0, end);
      this.#status = Number(head.slice(9, 12));
      this.#wanted = end + 4 + Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
      this.#chunks = [whole];
    }
    if (this.#size < this.#wanted) return;
    const answered = this.#answered;
    this.#chunks = [];
    this.#size = 0;
    this.#wanted = 0;
    this.#answered = null;
    answered?.resolve(this.#status);
  }
}

serve(new HttpLoad());
