import { HttpLine } from './http-line.ts';
import { LightClient } from './light-client.ts';
import { pacedWork } from './pace.ts';
import { serve } from './rpc.ts';
import { signToken } from './tokens.ts';

/** A token is allowed half of what its user is. */
const TOKENS = 4;
const LINES = 2;

export type Doing = 'settings' | 'blocks' | 'details' | 'statuses';

export interface Restlessness {
  doing: Doing;
  perSecond: number;
  seconds: number;
  /** Whom it blocks and unblocks: each in turn. */
  others: string[];
}

/** One user who changes something all the time, as fast as told. */
class Restless {
  readonly #client = new LightClient({ event: () => {}, lost: () => {} });
  #url = '';
  #userId = '';
  #tokens: string[] = [];
  #serial = 0;

  async come(url: string, secret: string, userId: string): Promise<void> {
    this.#url = url;
    this.#userId = userId;
    // A scope that says nothing makes a token of its own.
    this.#tokens = Array.from({ length: TOKENS }, (_, n) => signToken(secret, userId, `tab-${n}`));
    await this.#client.connect({ url, readyOn: 'ready', auth: { token: this.#tokens[0], watch: [] } });
  }

  /** Resolves when all has been answered: how much of it was done, and how much refused. */
  async change({ doing, perSecond, seconds, others }: Restlessness): Promise<{ done: number; refused: number }> {
    const answers = { done: 0, refused: 0 };
    const lines = Array.from({ length: LINES }, () => new HttpLine(this.#url));
    const free = [...lines];
    try {
      await pacedWork(perSecond * seconds, { perSecond, atOnce: LINES }, async () => {
        const n = this.#serial++;
        const line = free.pop();
        if (!line) throw new Error('There are as many lines as there is work under way.');
        const isDone = await this.#one(doing, n, others, line);
        free.push(line);
        answers[isDone ? 'done' : 'refused']++;
      });
      return answers;
    } finally {
      for (const line of lines) line.close();
    }
  }

  async #one(doing: Doing, n: number, others: string[], line: HttpLine): Promise<boolean> {
    const isEven = n % 2 === 0;
    if (doing === 'details') return this.#say('set_detail', { text: `n${n}` });
    if (doing === 'statuses') return this.#say('set_status', { status: isEven ? 'inactive' : 'active' });
    const user = `/users/${this.#userId}`;
    if (doing === 'settings') {
      return this.#ask(line, n, 'PUT', `${user}/settings`, { visibility: isEven ? 'nobody' : 'everyone' });
    }
    return this.#ask(line, n, isEven ? 'PUT' : 'DELETE', `${user}/blocks/${others[(n >> 1) % others.length]}`);
  }

  async #say(event: string, payload: object): Promise<boolean> {
    return ((await this.#client.ask(event, payload)) as { ok: boolean }).ok;
  }

  async #ask(line: HttpLine, n: number, method: string, path: string, body?: object): Promise<boolean> {
    const text = body ? JSON.stringify(body) : '';
    const type = body ? `content-type: application/json\r\ncontent-length: ${text.length}\r\n` : '';
    const status = await line.ask(
      `${method} ${path} HTTP/1.1\r\nhost: ${new URL(this.#url).host}\r\n` +
        `authorization: Bearer ${this.#tokens[n % TOKENS]}\r\n${type}\r\n${text}`,
    );
    if (status >= 300 && status !== 429) throw new Error(`${method} ${path} was answered with ${status}`);
    return status < 300;
  }
}

export type { Restless };

serve(new Restless());
