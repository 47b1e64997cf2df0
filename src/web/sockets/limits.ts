import type { ClientEvent } from '../../protocol/socket.ts';
import { WINDOW_MS } from '../limits/limit.ts';
import type { Limits } from '../limits/limits.ts';
import { closeSocket } from './closing.ts';
import type { PresenceSocket } from './types.ts';

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
    // Heartbeats have a limit of their own, and change nothing that others depend on.
    if (event === 'heartbeat') return read();
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
    // `active` is never refused.
    const { caller } = this.#socket.data;
    const heard = isActivation(event, said) ? null : this.#limits.event(caller, this.#socket.id);
    const ask = () => {
      const request = read();
      const asked = this.#asked(event, request);
      return asked ? asked.then(() => request) : request;
    };
    return heard ? heard.then(ask) : ask();
  }

  /** Once it is known to make sense: what costs more than a word. */
  #asked(event: ClientEvent, request: unknown): Promise<unknown> | null {
    const { caller } = this.#socket.data;
    if (event === 'watch') return this.#limits.look(caller, this.#socket.id, usersIn(request));
    if (event === 'start_indicator' || event === 'stop_indicator') return this.#limits.indicate(caller);
    if (event === 'set_detail' || (event === 'set_status' && !isActivation(event, request))) {
      return this.#limits.choose(caller);
    }
    return null;
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

  /** It has sent more than it may: it is told so, and heard no more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSocket(this.#socket, 'rate_limited', WINDOW_MS);
  }
}

function isActivation(event: ClientEvent, said: unknown): boolean {
  const named = typeof said === 'object' && said !== null && 'status' in said ? said.status : undefined;
  return event === 'set_status' && named === 'active';
}

function usersIn(request: unknown): number {
  const named = typeof request === 'object' && request !== null && 'userIds' in request ? request.userIds : [];
  return Array.isArray(named) ? named.length : 0;
}
