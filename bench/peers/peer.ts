import type { Pids } from '../measure/processes.ts';

/** Somebody connected to a peer. */
export interface PeerClient {
  /** Says whatever keeps the user there. */
  beat(): void;
  /** From now on it neither reads nor says anything, with its connection open: a laptop lid that closes. */
  freeze(): void;
  /** Leaves in order. */
  leave(): void;
}

export interface PeerUser {
  /** Of letters, digits and `-`. */
  name: string;
  /** Which of the nodes, from 0. */
  node: number;
  /** Those who are watched; they were named to `befriend` before. */
  watches?: readonly string[];
  /** Somebody who is watched came (true) or went. */
  told?: (name: string, here: boolean) => void;
  /** The connection is gone, and it was not we who left. */
  lost?: () => void;
}

/** A presence service of somebody else, or ours, with all of it that is measured behind one interface. */
export interface Peer {
  name: string;
  /** Its version and how it was set up, for the page. */
  setup: string;
  nodes: number;
  parts: Record<string, Pids>;
  /** Makes it so that `watcher` may watch these; what has no such thing does nothing. */
  befriend(watcher: string, names: readonly string[]): Promise<void>;
  /** Resolves when the user is there. */
  connect(user: PeerUser): Promise<PeerClient>;
  /** Ends a node: at once (`SIGKILL`) or as a deploy does. Resolves when it has ended. */
  end(node: number, how: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  stop(): Promise<void>;
}

/** How a peer is started: with one node or two. */
export type StartPeer = (nodes: 1 | 2) => Promise<Peer>;

/** The same for all: how often somebody is heard of, and after how long of silence nobody is here any more, where it can be set. */
export const BEAT_SECONDS = 5;
export const SILENCE_SECONDS = 10;
