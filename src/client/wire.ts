import type { Socket } from 'socket.io-client';
import type { ClientAnswer, ClientEvent, ClientRequest, ClientSays } from '../protocol/client-events.ts';
import type { HandshakeAuth, Ready, ServerToClientEvents } from '../protocol/socket.ts';
import type { PresenceError } from './presence-error.ts';

/** Says an event to the server, and resolves with what its acknowledgement says; rejects with a PresenceError. */
export type Request = <E extends ClientEvent>(event: E, payload: ClientRequest<E>) => Promise<ClientSays<E>>;

/** What is used of Socket.IO's socket, as the protocol types it. */
export interface PresenceSocket extends Pick<Socket<ServerToClientEvents>, 'on' | 'off' | 'disconnect' | 'io'> {
  timeout(ms: number): {
    emitWithAck<E extends ClientEvent>(event: E, payload: ClientRequest<E>): Promise<ClientAnswer<E>>;
  };
}

/** What lives with the connection beside what every client has. */
export interface Part {
  /** What it adds to the handshake. */
  handshake(): Partial<HandshakeAuth>;
  /** A connection is there: the place to listen to what the server says on it. Requests may be made from the next microtask on. */
  ready(ready: Ready, socket: Pick<PresenceSocket, 'on'>): void;
  /** The server would not have such a handshake. Returns whether the next one says something else that it may take. */
  refused(error: PresenceError): boolean;
}

/** What a part works with. */
export interface Wire {
  request: Request;
  report(error: PresenceError): void;
}
