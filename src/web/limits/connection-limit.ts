import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Config } from '../../config/config.ts';
import { networkOf } from '../../network.ts';
import type { clientAddress } from './client-address.ts';

/** Whose connections they are, as far as that is known. */
interface Holder {
  readonly network: string;
  open: number;
  readonly idle: Set<Socket>;
}

const HOLDER = Symbol('whose it is; null: nobody’s in particular; absent: not counted');
const ANSWERS = Symbol('how many of its requests are being answered');
type Held = Socket & { [HOLDER]?: Holder | null | undefined; [ANSWERS]?: number };

/** Why a connection was not kept: the process is full; its address has half of it already; it was idle, and room was needed. */
export type Dropped = 'full' | 'address' | 'idle';

/**
 * How many connections a process keeps open, by its own count. When it is full, or an address has its half, whoever comes
 * takes the place of what has been idle for longest: an HTTP connection on which nothing is being answered. WebSockets and
 * requests under way are never given up; where there is nothing else, the newcomer is cut off.
 *
 * Without a proxy that is believed, an address is the one the system names, counted from the moment a connection is accepted.
 * Behind one all come from the proxy, which opens HTTP connections as it sees fit and for many at once: there the WebSockets
 * of a client are counted, by the address that the proxy names.
 */
export class ConnectionLimit {
  readonly #most: number;
  readonly #half: number;
  readonly #direct: boolean;
  readonly #addressOf: ReturnType<typeof clientAddress>;
  readonly #dropped: (why: Dropped) => void;
  readonly #holders = new Map<string, Holder>();
  /** The longest idle first. */
  readonly #idle = new Set<Socket>();
  #open = 0;

  constructor(
    { maxConnections, trustProxy }: Pick<Config, 'maxConnections' | 'trustProxy'>,
    addressOf: ReturnType<typeof clientAddress>,
    dropped: (why: Dropped) => void,
  ) {
    this.#most = maxConnections;
    this.#half = Math.ceil(maxConnections / 2);
    this.#direct = trustProxy === 0;
    this.#addressOf = addressOf;
    this.#dropped = dropped;
  }

  /** Counts the connections of a server from now on. Comes after all others that listen to it: it has to hear of every request. */
  watch(http: Server): void {
    const release = (socket: Socket) => this.#release(socket);
    // One for all sockets: there may be very many.
    const closed = function (this: Socket) {
      release(this);
    };
    http.prependListener('connection', (socket: Socket) => {
      if (this.#admit(socket)) socket.on('close', closed);
    });
    http.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
      this.#begin(socket);
      response.once('close', () => this.#end(socket));
    });
  }

  /** Whether a connection may become a WebSocket. Has to be asked of each: from then on it is not idle, whatever it does. */
  upgrade(request: IncomingMessage, duplex: Duplex): boolean {
    const socket = duplex as Held;
    this.#notIdle(socket);
    if (this.#direct || socket[HOLDER] === undefined) return true;
    const holder = this.#holderOf(this.#addressOf(request));
    if (holder.open >= this.#half) {
      this.#dropped('address');
      return false;
    }
    this.#take(socket, holder);
    return true;
  }

  #admit(socket: Held): boolean {
    const holder = this.#direct ? this.#holderOf(socket.remoteAddress ?? '') : null;
    const crowd = holder !== null && holder.open >= this.#half ? holder : null;
    if ((crowd || this.#open >= this.#most) && !this.#makeRoom(crowd?.idle ?? this.#idle)) {
      this.#dropped(crowd ? 'address' : 'full');
      socket.destroy();
      return false;
    }
    this.#open++;
    this.#take(socket, holder);
    this.#nowIdle(socket);
    return true;
  }

  #take(socket: Held, holder: Holder | null): void {
    socket[HOLDER] = holder;
    if (holder === null) return;
    holder.open++;
    this.#holders.set(holder.network, holder);
  }

  /** Whether something idle was there to be given up. */
  #makeRoom(idle: Set<Socket>): boolean {
    for (const socket of idle) {
      this.#release(socket);
      socket.destroy();
      this.#dropped('idle');
      return true;
    }
    return false;
  }

  #release(socket: Held): void {
    const holder = socket[HOLDER];
    if (holder === undefined) return;
    this.#notIdle(socket);
    socket[HOLDER] = undefined;
    this.#open--;
    if (holder && --holder.open === 0) this.#holders.delete(holder.network);
  }

  #begin(socket: Held): void {
    socket[ANSWERS] = (socket[ANSWERS] ?? 0) + 1;
    this.#notIdle(socket);
  }

  #end(socket: Held): void {
    socket[ANSWERS] = (socket[ANSWERS] ?? 0) - 1;
    if (socket[ANSWERS] === 0 && socket[HOLDER] !== undefined) this.#nowIdle(socket);
  }

  #nowIdle(socket: Held): void {
    this.#idle.add(socket);
    socket[HOLDER]?.idle.add(socket);
  }

  #notIdle(socket: Held): void {
    this.#idle.delete(socket);
    socket[HOLDER]?.idle.delete(socket);
  }

  #holderOf(address: string): Holder {
    const network = networkOf(address);
    return this.#holders.get(network) ?? { network, open: 0, idle: new Set() };
  }
}
