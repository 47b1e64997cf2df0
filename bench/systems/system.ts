import type { SystemName } from '../measure/figure.ts';
import type { Pids } from '../measure/processes.ts';

/** A running deployment that is measured. */
export interface System {
  name: SystemName;
  /** Of the processes that clients connect to. */
  urls: [string, ...string[]];
  /** For HS256; null: it asks nobody who they are. */
  secret: string | null;
  redisUrl: string | null;
  /** What the processes are that its costs are counted from. */
  parts: Record<string, Pids>;
  /** Its Node processes, which can be asked to collect their garbage. */
  programs: () => number[];
  /** When a client counts as connected: told so by an event, or let in by Socket.IO. */
  readyOn: 'ready' | 'connect';
  stop(): Promise<void>;
}

/** Stops what was started, all of it, also where one refuses. */
export async function stopAll(...things: ({ stop(): Promise<void> } | undefined)[]): Promise<void> {
  await Promise.allSettled(things.map((thing) => thing?.stop()));
}
