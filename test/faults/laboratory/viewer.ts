import type { StatusPayload } from '../../../src/protocol/vocabulary.ts';
import { rest, type TestClient, tokenFor } from '../../support/client.ts';
import { within } from './device.ts';
import type { Member } from './member.ts';
import type { Span } from './spans.ts';
import { Watcher } from './watcher.ts';

const BEAT_MS = 700;
const PATIENCE_MS = 5000;

/** What one door showed of some users; nothing where it answered that it cannot know, or not at all. */
export interface Look extends Span {
  door: string;
  users: StatusPayload[];
  /** What it answered. */
  status: number;
}

/** An answer to who asked to be let into the conversation. */
export interface Admission extends Span {
  isLetIn: boolean;
}

export interface ViewerPlan {
  web: Member;
  userId: string;
  /** Whom it watches; null: an audience of everyone. */
  users: string[] | null;
  batch: boolean;
  conversationId: string;
}

/** A user who looks at others by every door, and always wants to be in the conversation. */
export class Viewer extends Watcher {
  readonly userId: string;
  readonly watches: boolean;
  readonly looks: Look[] = [];
  readonly admissions: Admission[] = [];
  /** When it heard that somebody in the conversation began to type. */
  readonly typing: number[] = [];
  readonly #conversationId: string;
  #beating: NodeJS.Timeout | undefined;

  constructor({ web, userId, users, batch, conversationId }: ViewerPlan) {
    super(web, userId, users, batch, userId);
    this.userId = userId;
    this.watches = users !== null;
    this.#conversationId = conversationId;
  }

  override start(): Promise<void> {
    this.#beating = setInterval(() => {
      if (!this.connected) return;
      this.client?.beat().catch(() => {});
      void this.join();
    }, BEAT_MS);
    return super.start();
  }

  override stop(): void {
    clearInterval(this.#beating);
    super.stop();
  }

  /** Joins the conversation, also where it is in already. Null: nobody answered whether it may. */
  async join(): Promise<boolean | null> {
    const from = Date.now();
    const { client } = this;
    if (!client?.socket.connected) return null;
    const asked = client.socket.emitWithAck('join_conversation', { conversationId: this.#conversationId });
    const answer = await within(asked, PATIENCE_MS);
    if (!answer || (!answer.ok && answer.error.code !== 'FORBIDDEN')) return null;
    this.admissions.push({ from, to: Date.now(), isLetIn: answer.ok });
    return answer.ok;
  }

  /** Looks at users by a door of a web. One that watches may look by its own socket. */
  async look(door: 'status' | 'query' | 'watch', web: Member, userIds: string[]): Promise<Look> {
    const from = Date.now();
    const look = { from, to: Number.POSITIVE_INFINITY, door: `${door} at ${web.name}`, users: [], status: 0 };
    const found = await within(this.#ask(door, web, userIds), PATIENCE_MS);
    const seen: Look = {
      ...look,
      door: door === 'watch' ? `watch at ${this.web.name}` : look.door,
      ...found,
      to: Date.now(),
    };
    this.looks.push(seen);
    return seen;
  }

  protected override met({ socket }: TestClient): void {
    socket.on('indicator_change', ({ active }) => {
      if (active) this.typing.push(Date.now());
    });
    socket.once('ready', () => void this.join());
  }

  async #ask(
    door: 'status' | 'query' | 'watch',
    web: Member,
    userIds: string[],
  ): Promise<Pick<Look, 'users' | 'status'>> {
    if (door === 'watch') {
      const users = await this.glance(userIds);
      return { users: users ?? [], status: users ? 200 : 503 };
    }
    const [token, url] = [await tokenFor(this.userId), `http://127.0.0.1:${web.port}`];
    if (door === 'query') {
      const { status, body } = await rest(url, 'POST', '/users/status/query', { token, body: { userIds } });
      return { status, users: status === 200 ? body.users : [] };
    }
    const answers = await Promise.all(userIds.map((userId) => rest(url, 'GET', `/users/${userId}/status`, { token })));
    const users = answers.flatMap(({ status, body }, n): StatusPayload[] => {
      if (status === 200) return [body];
      // Nobody ever heard of them, which is no secret.
      return status === 404 ? [{ userId: userIds[n] ?? '', status: 'inactive', lastSeen: null }] : [];
    });
    return { users, status: Math.max(...answers.map(({ status }) => status)) };
  }
}
