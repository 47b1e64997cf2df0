import type { ServerOptions } from 'socket.io';
import type { PresenceServer, PresenceSocket } from './types.ts';

type Adapter = ServerOptions['adapter'];
type Namespace = ReturnType<PresenceServer['of']>;

/**
 * What Socket.IO keeps its rooms by, where nobody uses them: a room for each socket, of it alone, is what it would make anyhow.
 * `left` is called for each socket that was let in, as it goes. Broadcasts of Socket.IO's own reach nobody, and throw.
 */
export function withoutRooms(left: (socket: PresenceSocket) => void): Adapter {
  class WithoutRooms {
    readonly #nsp: Namespace;

    constructor(nsp: Namespace) {
      this.#nsp = nsp;
    }

    init(): void {}

    close(): void {}

    addAll(): void {}

    del(): void {}

    delAll(socketId: string): void {
      const socket = this.#nsp.sockets.get(socketId);
      if (socket) left(socket);
    }
  }
  return WithoutRooms as unknown as Adapter;
}
