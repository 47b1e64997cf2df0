import type { Socket } from 'socket.io-client';
import type { ClientAnswer, ClientEvent, ClientRequest, ClientSays } from '../protocol/client-events.ts';
import type { ServerToClientEvents } from '../protocol/socket.ts';

/** Says an event to the server, and resolves with what its acknowledgement says; rejects with a PresenceError. */
export type Request = <E extends ClientEvent>(event: E, payload: ClientRequest<E>) => Promise<ClientSays<E>>;

/** What is used of Socket.IO's socket, as the protocol types it. */
export interface PresenceSocket extends Pick<Socket<ServerToClientEvents>, 'on' | 'off' | 'disconnect' | 'io'> {
  timeout(ms: number): {
    emitWithAck<E extends ClientEvent>(event: E, payload: ClientRequest<E>): Promise<ClientAnswer<E>>;
  };
}
