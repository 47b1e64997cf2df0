import { RollcallError } from '../../errors.ts';
import type { IndicatorChange } from '../../protocol/socket.ts';
import type { DeliveryItem } from '../../redis/delivery.ts';
import type { Doing } from '../../redis/indicators.ts';
import type { Conversations } from '../conversations.ts';
import { ownSocketsOf } from './rooms.ts';
import type { PresenceServer, PresenceSocket } from './types.ts';

const talkOf = (conversationId: string) => `talk:${conversationId}`;

const MAX_TALKS = 100;
/** An indicator lasts six seconds; saying it more often changes nothing. */
const REPEAT_MS = 1000;

type IndicatorItem = Extract<DeliveryItem, { kind: 'indicator' }>;

/** The conversations that this process's sockets have joined. */
export class Talks {
  readonly #io: PresenceServer;
  readonly #conversations: Conversations;
  /** Joins under way: what ended since they began to read who is doing what. */
  readonly #joining = new Set<{ conversationId: string; ended: Set<string> }>();

  constructor(io: PresenceServer, conversations: Conversations) {
    this.#io = io;
    this.#conversations = conversations;
  }

  /** Joins, for members only; returns what others are doing there now. Throws FORBIDDEN, INVALID_REQUEST or UNAVAILABLE. */
  async join(socket: PresenceSocket, conversationId: string): Promise<IndicatorChange[]> {
    const { caller, talks } = socket.data;
    if (!talks.has(conversationId) && talks.size >= MAX_TALKS) {
      const message = `A connection can be in ${MAX_TALKS} conversations at most; leave some first.`;
      throw new RollcallError('INVALID_REQUEST', { message });
    }
    if (caller.service || !(await this.#conversations.isMember(conversationId, caller.userId))) throw notMember();
    talks.set(conversationId, talks.get(conversationId) ?? new Map());
    void socket.join(talkOf(conversationId));
    const joining = { conversationId, ended: new Set<string>() };
    this.#joining.add(joining);
    try {
      const doing = await this.#conversations.doing(conversationId);
      // A member no more by now: the news of it may have come before there was anything to leave.
      if (!(await this.#conversations.isMember(conversationId, caller.userId))) {
        this.#forget(socket, conversationId);
        throw notMember();
      }
      return doing
        .filter(({ userId, kind }) => userId !== caller.userId && !joining.ended.has(`${kind} ${userId}`))
        .map(({ userId, kind }) => ({ conversationId, userId, kind, active: true }));
    } finally {
      this.#joining.delete(joining);
    }
  }

  async leave(socket: PresenceSocket, conversationId: string): Promise<void> {
    const mine = socket.data.talks.get(conversationId);
    this.#forget(socket, conversationId);
    for (const kind of mine?.keys() ?? []) await this.#stop(socket, conversationId, kind);
  }

  async start(socket: PresenceSocket, conversationId: string, kind: Doing): Promise<void> {
    const mine = socket.data.talks.get(conversationId);
    if (!mine) throw notJoined();
    const now = performance.now();
    if (now - (mine.get(kind) ?? Number.NEGATIVE_INFINITY) < REPEAT_MS) return;
    mine.set(kind, now);
    await this.#conversations.start({ conversationId, userId: socket.data.caller.userId, kind, conn: socket.id });
  }

  async stop(socket: PresenceSocket, conversationId: string, kind: Doing): Promise<void> {
    const mine = socket.data.talks.get(conversationId);
    if (!mine) throw notJoined();
    if (mine.delete(kind)) await this.#stop(socket, conversationId, kind);
  }

  /** The client is gone: whatever it was doing has ended. */
  async end(socket: PresenceSocket): Promise<void> {
    for (const conversationId of [...socket.data.talks.keys()]) await this.leave(socket, conversationId);
  }

  tell({ conversationId, userId, doing: kind, active }: IndicatorItem): void {
    for (const joining of this.#joining) {
      if (joining.conversationId !== conversationId) continue;
      if (active) joining.ended.delete(`${kind} ${userId}`);
      else joining.ended.add(`${kind} ${userId}`);
    }
    this.#io
      .to(talkOf(conversationId))
      .except(ownSocketsOf(userId))
      .emit('indicator_change', { conversationId, userId, kind, active });
  }

  expel(conversationId: string, userId: string): void {
    const { sockets, adapter } = this.#io.of('/');
    for (const socketId of adapter.rooms.get(ownSocketsOf(userId)) ?? []) {
      const socket = sockets.get(socketId);
      if (socket) this.#forget(socket, conversationId);
    }
  }

  #stop(socket: PresenceSocket, conversationId: string, kind: Doing): Promise<void> {
    return this.#conversations.stop({ conversationId, userId: socket.data.caller.userId, kind, conn: socket.id });
  }

  #forget(socket: PresenceSocket, conversationId: string): void {
    socket.data.talks.delete(conversationId);
    void socket.leave(talkOf(conversationId));
  }
}

function notMember(): RollcallError {
  return new RollcallError('FORBIDDEN', { message: 'Only members can join this conversation.' });
}

function notJoined(): RollcallError {
  return new RollcallError('FORBIDDEN', { message: 'Join the conversation first.' });
}
