import type { DefaultEventsMap, Server, Socket } from 'socket.io';
import type { Access } from '../../presence/visibility.ts';
import type { IncomingEvents } from '../../protocol/client-events.ts';
import type { Room } from '../../protocol/rooms.ts';
import type { Ready, ServerToClientEvents, StatusChange } from '../../protocol/socket.ts';
import type { IndicatorKind } from '../../redis/indicators.ts';
import type { Snapshot } from '../../usecases/status-reads.ts';
import type { Caller } from '../auth/auth.ts';
import type { Connection } from '../sessions/connection.ts';
import type { StreamOutlet } from './frames.ts';
import type { Gathered } from './gathered.ts';
import type { Seen } from './room-news.ts';

export interface SocketData {
  caller: Caller;
  /** From where it connected, as far as proxies are believed. */
  address: string;
  /** null: an observer, who has no presence of its own. */
  connection: Connection | null;
  viewer: Viewer;
  /** The conversations it has joined, and when it last said what it is doing there (performance.now()); null: none yet. */
  joined: Map<string, Map<IndicatorKind, number>> | null;
  /** The rooms it is told of; null: none yet. */
  rooms: Map<string, RoomViewer> | null;
  /** What the handshake found out, told first thing after connecting; null from then on. */
  welcome: { ready: Ready; picture: Picture | null; looks: readonly RoomLook[] } | null;
}

export type PresenceServer = Server<IncomingEvents, ServerToClientEvents, DefaultEventsMap, SocketData>;
export type PresenceSocket = Socket<IncomingEvents, ServerToClientEvents, DefaultEventsMap, SocketData>;

/** The list of whoever watches nobody, of whom there are many. */
export const NOBODY: ReadonlySet<string> = new Set();

/** Who reads a stream of events over HTTP, in the place of a socket: it watches, and has no presence of its own. */
export interface StreamSeat extends StreamOutlet {
  readonly connected: boolean;
  readonly data: { readonly connection: null };
}

/** One socket, or one stream of events, as a viewer of others. */
export interface Viewer {
  socket: PresenceSocket | StreamSeat;
  /** null: a service, which sees everything. */
  userId: string | null;
  /** null: never said whom it watches, so that the audience rule decides. */
  watching: ReadonlySet<string> | null;
  batch: boolean;
  /** What waits to be told at the end of the window, of one that asked for batches. */
  gathered: Gathered | null;
}

/** Something to tell, and where it stands in which outbox; `insider`: what the user and services are told instead. */
export interface Told {
  id: string;
  shard: number;
  change: StatusChange;
  insider: StatusChange;
}

/** What a viewer is about to be shown. Changes of these users are held back until it has been. */
export interface Picture {
  viewer: Viewer;
  /** null: everyone. */
  userIds: Set<string> | null;
  /** Of whom the snapshot says something: of everyone, those who were here when it was begun. */
  covered: ReadonlySet<string>;
  held: Told[];
  snapshot: Snapshot;
}

/** What a viewer is about to be shown of a room. */
export interface RoomLook {
  viewer: RoomViewer;
  reading: object;
  room: Room;
  shown: Map<string, Access>;
}

/** One connection that is told of one room. */
export interface RoomViewer {
  readonly roomId: string;
  readonly socket: PresenceSocket;
  /** null: a service, which sees everything. */
  readonly viewerId: string | null;
  /** Its session is there. */
  there: boolean;
  /** It asked to be told, there or not. */
  watching: boolean;
  /** Whom it sees of those who do not show everything to everybody. */
  shown: Map<string, Access>;
  /** How many it was told are there, of a room that is told as a count; else null. */
  counted: number | null;
  /** Of the picture that it was shown; null while one is read, and what happens is held back for it. */
  version: number | null;
  held: Seen[];
  /** The last picture that was begun for it. */
  reading: object | null;
}
