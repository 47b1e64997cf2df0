import type { ClientEvent } from '../../protocol/socket.ts';
import { WINDOW_MS } from '../limit.ts';
import type { Limits } from '../limits.ts';
import { closeSocket } from './closing.ts';
import type { PresenceSocket } from './types.ts';

/** Whatever a connection says counts, unknown events and heartbeats included; more in a window and it is closed. */
const MOST_HEARD = { user: 5000, service: 100_000 } as const;

/** What one connection may say. */
export class EventLimits {
  readonly #socket: PresenceSocket;
  readonly #limits: Limits;
  #heard = 0;
  #windowEnds = 0;
  #closed = false;

  constructor(socket: PresenceSocket, limits: Limits) {
    this.#socket = socket;
    this.#limits = limits;
  }

  /** Before it is looked at. Heartbeats have a limit of their own, and `active` is never refused. */
  heard(event: ClientEvent, said: unknown): Promise<unknown> | null {
    if (event === 'heartbeat' || isActivation(event, said)) return null;
    return this.#limits.event(this.#socket.data.caller, this.#socket.id);
  }

  /** Once it is known to make sense: what costs more than a word. */
  asked(event: ClientEvent, request: unknown): Promise<unknown> | null {
    const { caller } = this.#socket.data;
    if (event === 'watch') return this.#limits.look(caller, this.#socket.id, usersIn(request));
    if (event === 'start_indicator' || event === 'stop_indicator') return this.#limits.indicate(caller);
    if (event === 'set_detail' || (event === 'set_status' && !isActivation(event, request))) {
      return this.#limits.choose(caller);
    }
    return null;
  }

  /** Something was said, whatever it is. */
  hear(): void {
    const now = performance.now();
    if (now >= this.#windowEnds) {
      this.#windowEnds = now + WINDOW_MS;
      this.#heard = 0;
    }
    this.#heard++;
    const most = this.#socket.data.caller.service === null ? MOST_HEARD.user : MOST_HEARD.service;
    if (this.#heard <= most || this.#closed) return;
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
