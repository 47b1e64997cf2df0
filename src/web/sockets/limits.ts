import { type ClientEvent, type Cost, rowOf } from '../../protocol/client-events.ts';
import type { Caller } from '../auth/auth.ts';
import { WINDOW_MS } from '../limits/limit.ts';
import type { Limits } from '../limits/limits.ts';
import { closeSocket } from './closing.ts';
import type { PresenceSocket } from './types.ts';

type Take = (limits: Limits, caller: Caller, request: unknown, connection: string) => Promise<unknown> | null;

/** What an event takes once it is known to make sense, beside being one. */
const BESIDE_THE_EVENT: { readonly [C in Cost]: Take | null } = {
  own: null,
  event: null,
  look: async (limits, caller, request, connection) => {
    const userIds = usersIn(request);
    await limits.look(caller, connection, userIds.length);
    await limits.lookByName(caller, userIds);
  },
  indicator: (limits, caller) => limits.indicate(caller),
  choice: (limits, caller) => limits.choose(caller),
  status: (limits, caller, request) => (isActivation(request) ? null : limits.choose(caller)),
};

/** What one connection may say; what it may send stands in intake.ts. */
export class EventLimits {
  readonly #socket: PresenceSocket;
  readonly #limits: Limits;
  /** The last one that waits to be admitted. */
  #last: Promise<unknown> | null = null;
  #closed = false;

  constructor(socket: PresenceSocket, limits: Limits) {
    this.#socket = socket;
    this.#limits = limits;
  }

  /**
   * What `read` makes of an event, once there is room for it: at once, or when the count that all processes share has
   * been asked. Then those that come after it wait too, for what was said first is done first. Throws or rejects with
   * RATE_LIMITED, or with what `read` throws.
   */
  admit<Request>(event: ClientEvent, said: unknown, read: () => Request): Request | Promise<Request> {
    // Heartbeats, which change nothing that others depend on.
    if (rowOf(event).cost === 'own') return read();
    const admit = () => this.#admit(event, said, read);
    const request = this.#last === null ? admit() : this.#last.then(admit, admit);
    if (!(request instanceof Promise)) return request;
    this.#last = request;
    const end = () => {
      if (this.#last === request) this.#last = null;
    };
    request.then(end, end);
    return request;
  }

  #admit<Request>(event: ClientEvent, said: unknown, read: () => Request): Request | Promise<Request> {
    const { caller } = this.#socket.data;
    const { cost } = rowOf(event);
    // `active` is never refused.
    const heard = cost === 'status' && isActivation(said) ? null : this.#limits.event(caller, this.#socket.id);
    const ask = () => {
      const request = read();
      const asked = BESIDE_THE_EVENT[cost]?.(this.#limits, caller, request, this.#socket.id);
      return asked ? asked.then(() => request) : request;
    };
    return heard ? heard.then(ask) : ask();
  }

  get isService(): boolean {
    return this.#socket.data.caller.service !== null;
  }

  /** So many bytes more have come, for the count of all that the user sends. A service has that of its connection alone. */
  sent(bytes: number): void {
    if (this.isService) return;
    try {
      this.#limits.sent(this.#socket.data.caller.userId, bytes)?.catch(() => this.close());
    } catch {
      this.close();
    }
  }

  /** Closes the socket of a client that has sent more than it may: it is told so, and heard no more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSocket(this.#socket, 'rate_limited', WINDOW_MS);
  }
}

function isActivation(said: unknown): boolean {
  return typeof said === 'object' && said !== null && 'status' in said && said.status === 'active';
}

function usersIn(request: unknown): string[] {
  const named = typeof request === 'object' && request !== null && 'userIds' in request ? request.userIds : [];
  return Array.isArray(named) ? named : [];
}
