import { RollcallError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { Membership } from '../../postgres/conversations.ts';
import type { Change } from '../../presence/change.ts';
import type { IndicatorChange } from '../../protocol/socket.ts';
import type { DeliveryItem } from '../../redis/delivery.ts';
import type { IndicatorKind } from '../../redis/indicators.ts';
import type { Conversations } from '../../usecases/conversations.ts';
import type { Accesses } from './accesses.ts';
import { Frame } from './frames.ts';
import { Groups } from './groups.ts';
import { MemberChecks } from './member-checks.ts';
import type { Rooms } from './rooms.ts';
import type { PresenceSocket } from './types.ts';

const MAX_CONVERSATIONS = 100;
/** An indicator lasts six seconds; saying it more often changes nothing. */
const REPEAT_MS = 1000;

type IndicatorItem = Extract<DeliveryItem, { kind: 'indicator' }>;

/** Keeps which conversations this process's sockets have joined, and tells them what others do there. */
export class ConversationRooms {
  readonly #rooms: Pick<Rooms, 'socketsOf'>;
  readonly #conversations: Conversations;
  /** The sockets that have joined, by conversation. */
  readonly #sockets = new Groups<PresenceSocket>();
  /** Joins under way: what ended since they began to read who is doing what. */
  readonly #joining = new Set<{ conversationId: string; ended: Set<string> }>();
  /** What is being done in conversations that somebody here has joined: by user, then by conversation. */
  readonly #indicating = new Map<string, Map<string, Set<IndicatorKind>>>();
  /** What each socket was told of that has not ended since: at the join or as an event, but once. */
  #shown = new WeakMap<PresenceSocket, Set<string>>();

  readonly #checks: MemberChecks;

  constructor(rooms: Pick<Rooms, 'socketsOf'>, conversations: Conversations, log: Logger) {
    this.#rooms = rooms;
    this.#conversations = conversations;
    this.#checks = new MemberChecks({
      log,
      joined: () => this.#joined(),
      removed: (joined) => conversations.removed(joined),
      putOut: ({ conversationId, userId }) => this.#putOut(conversationId, userId),
    });
  }

  /** Looks whether those who have joined are members still, for removals may have been missed; whoever is not is put out. */
  checkMembers(): void {
    this.#checks.start();
  }

  /** Ends `checkMembers`; resolves once nobody is looked at. */
  stopChecking(): Promise<void> {
    return this.#checks.stop();
  }

  /**
   * Joins a conversation, for members only; returns what others are doing there now. Throws FORBIDDEN, INVALID_REQUEST
   * or UNAVAILABLE.
   */
  async join(socket: PresenceSocket, conversationId: string): Promise<IndicatorChange[]> {
    const { caller } = socket.data;
    const { joined } = socket.data;
    if (joined && !joined.has(conversationId) && joined.size >= MAX_CONVERSATIONS) {
      const message = `A connection can be in ${MAX_CONVERSATIONS} conversations at most; leave some first.`;
      throw new RollcallError('INVALID_REQUEST', { message });
    }
    if (caller.service || !(await this.#conversations.isMember(conversationId, caller.userId))) throw notMember();
    // Gone meanwhile: nobody waits for the answer, and nobody would take it out again.
    if (!socket.connected) return [];
    socket.data.joined ??= new Map();
    socket.data.joined.set(conversationId, socket.data.joined.get(conversationId) ?? new Map());
    this.#sockets.add(conversationId, socket);
    // Whoever joins again sees again who is typing.
    this.#dropShown(socket, conversationId);
    const joining = { conversationId, ended: new Set<string>() };
    this.#joining.add(joining);
    try {
      const doing = await this.#conversations.indicatorsIn(conversationId, caller.userId);
      // A member no more by now: the news of it may have come before there was anything to leave.
      if (!(await this.#conversations.isMember(conversationId, caller.userId))) {
        this.#drop(socket, conversationId);
        throw notMember();
      }
      const going = doing.filter(({ userId, kind }) => !joining.ended.has(`${kind} ${userId}`));
      for (const { userId, kind } of going) this.#note(conversationId, userId, kind, true);
      return going
        .filter(({ userId }) => userId !== caller.userId)
        .map(({ userId, kind }) => ({ conversationId, userId, kind, active: true }))
        .filter((change) => this.#isNews(socket, change));
    } finally {
      this.#joining.delete(joining);
    }
  }

  /** The users whose sockets here are in a conversation. */
  listeners(conversationId: string): Set<string> {
    return new Set(this.#socketsIn(conversationId).map((socket) => socket.data.caller.userId));
  }

  /** The users whose sockets here are in a conversation in which this user is doing something. */
  listenersTo(userId: string): Set<string> {
    const conversations = [...(this.#indicating.get(userId)?.keys() ?? [])];
    return new Set(conversations.flatMap((conversationId) => [...this.listeners(conversationId)]));
  }

  /** Forgets what is being done, for ends and removals may have been missed: it is heard of anew. */
  missed(): void {
    this.#indicating.clear();
    this.#shown = new WeakMap();
    this.checkMembers();
  }

  /** Takes a socket out of a conversation, and ends what it was doing there. */
  async leave(socket: PresenceSocket, conversationId: string): Promise<void> {
    const mine = socket.data.joined?.get(conversationId);
    this.#drop(socket, conversationId);
    for (const kind of mine?.keys() ?? []) await this.#stop(socket, conversationId, kind);
  }

  /** Begins an indicator of the socket's user. Throws where the socket has not joined the conversation. */
  async start(socket: PresenceSocket, conversationId: string, kind: IndicatorKind): Promise<void> {
    const mine = socket.data.joined?.get(conversationId);
    if (!mine) throw notJoined();
    const now = performance.now();
    if (now - (mine.get(kind) ?? Number.NEGATIVE_INFINITY) < REPEAT_MS) return;
    mine.set(kind, now);
    await this.#conversations.start({ conversationId, userId: socket.data.caller.userId, kind, conn: socket.id });
  }

  /** Ends an indicator of the socket's user. Throws where the socket has not joined the conversation. */
  async stop(socket: PresenceSocket, conversationId: string, kind: IndicatorKind): Promise<void> {
    const mine = socket.data.joined?.get(conversationId);
    if (!mine) throw notJoined();
    if (mine.delete(kind)) await this.#stop(socket, conversationId, kind);
  }

  /** The client is gone, and is told nothing more. */
  left(socket: PresenceSocket): void {
    for (const conversationId of socket.data.joined?.keys() ?? []) this.#sockets.delete(conversationId, socket);
  }

  /** Ends whatever a client that is gone was doing. */
  async end(socket: PresenceSocket): Promise<void> {
    for (const conversationId of [...(socket.data.joined?.keys() ?? [])]) await this.leave(socket, conversationId);
  }

  /** Tells those in the conversation who may see the user. */
  tell({ conversationId, userId, doing: kind, active }: IndicatorItem, accesses: Accesses): void {
    for (const joining of this.#joining) {
      if (joining.conversationId !== conversationId) continue;
      if (active) joining.ended.delete(`${kind} ${userId}`);
      else joining.ended.add(`${kind} ${userId}`);
    }
    this.#note(conversationId, userId, kind, active);
    this.#emit({ conversationId, userId, kind, active }, (viewerId) => accesses.of(userId, viewerId) !== 'nothing');
  }

  /**
   * Takes a change of a user: who appears inactive is not doing anything either, and who loses or regains sight of them
   * loses or regains what they are doing.
   */
  onChange({ userId, status, cause, before }: Change, accesses: Accesses): void {
    if (cause === 'manual' && status === 'inactive') this.#endOwn(userId);
    if (!before) return;
    const saw = (viewerId: string) => before !== 'unknown' && accesses.before(userId, viewerId, before) !== 'nothing';
    for (const [conversationId, kinds] of this.#indicating.get(userId) ?? []) {
      for (const kind of kinds) {
        for (const active of [true, false]) {
          this.#emit({ conversationId, userId, kind, active }, (viewerId) => {
            const sees = accesses.of(userId, viewerId) !== 'nothing';
            const isNews = before === 'unknown' || before.overtaken.includes(viewerId) || sees !== saw(viewerId);
            return sees === active && isNews;
          });
        }
      }
    }
  }

  /** Takes the sockets of a user out of a conversation; what they were doing there has ended. */
  expel(conversationId: string, userId: string): void {
    for (const socket of this.#rooms.socketsOf(userId)) this.#drop(socket, conversationId);
  }

  #putOut(conversationId: string, userId: string): void {
    // What cannot be told now ends by itself within seconds.
    for (const socket of this.#rooms.socketsOf(userId)) this.leave(socket, conversationId).catch(() => {});
  }

  #joined(): Membership[] {
    const joined = new Map<string, Membership>();
    for (const conversationId of this.#sockets.names()) {
      for (const userId of this.listeners(conversationId)) {
        joined.set(`${conversationId} ${userId}`, { conversationId, userId });
      }
    }
    return [...joined.values()];
  }

  /** Of what ended while nobody here listened nothing was heard: forgotten with the next that is. */
  #note(conversationId: string, userId: string, kind: IndicatorKind, active: boolean): void {
    const ofUser = this.#indicating.get(userId) ?? new Map<string, Set<IndicatorKind>>();
    const kinds = ofUser.get(conversationId) ?? new Set<IndicatorKind>();
    if (active && this.#socketsIn(conversationId).length > 0) kinds.add(kind);
    else kinds.delete(kind);
    if (kinds.size > 0) ofUser.set(conversationId, kinds);
    else ofUser.delete(conversationId);
    if (ofUser.size > 0) this.#indicating.set(userId, ofUser);
    else this.#indicating.delete(userId);
  }

  #endOwn(userId: string): void {
    for (const socket of this.#rooms.socketsOf(userId)) {
      for (const [conversationId, kinds] of socket.data.joined ?? []) {
        for (const kind of kinds.keys()) {
          kinds.delete(kind);
          // What cannot be told now ends by itself within seconds.
          this.#stop(socket, conversationId, kind).catch(() => {});
        }
      }
    }
  }

  #emit(change: IndicatorChange, isFor: (viewerId: string) => boolean): void {
    const sockets = this.#socketsIn(change.conversationId).filter((socket) => {
      const viewerId = socket.data.caller.userId;
      return viewerId !== change.userId && isFor(viewerId) && this.#isNews(socket, change);
    });
    if (sockets.length === 0) return;
    const frame = Frame.of('indicator_change', change);
    for (const socket of sockets) frame.sendTo(socket);
  }

  /** False for a start that the socket was told of already. From now on it has been told. */
  #isNews(socket: PresenceSocket, { conversationId, userId, kind, active }: IndicatorChange): boolean {
    const shown = this.#shown.get(socket) ?? new Set();
    const name = `${conversationId} ${kind} ${userId}`;
    if (active && shown.has(name)) return false;
    if (active) shown.add(name);
    else shown.delete(name);
    this.#shown.set(socket, shown);
    return true;
  }

  #dropShown(socket: PresenceSocket, conversationId: string): void {
    const shown = this.#shown.get(socket);
    for (const name of shown ?? []) if (name.startsWith(`${conversationId} `)) shown?.delete(name);
  }

  #socketsIn(conversationId: string): PresenceSocket[] {
    return [...this.#sockets.of(conversationId)];
  }

  #stop(socket: PresenceSocket, conversationId: string, kind: IndicatorKind): Promise<void> {
    return this.#conversations.stop({ conversationId, userId: socket.data.caller.userId, kind, conn: socket.id });
  }

  #drop(socket: PresenceSocket, conversationId: string): void {
    socket.data.joined?.delete(conversationId);
    this.#dropShown(socket, conversationId);
    this.#sockets.delete(conversationId, socket);
  }
}

function notMember(): RollcallError {
  return new RollcallError('FORBIDDEN', { message: 'Only members can join this conversation.' });
}

function notJoined(): RollcallError {
  return new RollcallError('FORBIDDEN', { message: 'Join the conversation first.' });
}
