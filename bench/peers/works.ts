import { setTimeout as pause } from 'node:timers/promises';
import { costBeyondIdle, costOf } from '../measure/rounds.ts';
import { BEAT_SECONDS, type Peer, type PeerClient, type PeerUser } from './peer.ts';

const IDLE_SECONDS = 3;
const TOLD_LIMIT_MS = 60_000;

/** Clients that beat by themselves as those of a real application do, until they are told to stop. */
export class Crowd {
  readonly #peer: Peer;
  readonly clients = new Map<string, PeerClient>();
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(peer: Peer) {
    this.#peer = peer;
  }

  async add(user: PeerUser): Promise<PeerClient> {
    const client = await this.#peer.connect(user);
    this.clients.set(user.name, client);
    return client;
  }

  /** Lets all of them beat every BEAT_SECONDS, spread evenly; whoever is left out later beats no more. */
  keepBeating(name: string): () => void {
    let timer: NodeJS.Timeout;
    const beat = () => {
      this.clients.get(name)?.beat();
      timer = setTimeout(beat, BEAT_SECONDS * 1000);
      this.#timers.add(timer);
    };
    timer = setTimeout(beat, Math.random() * BEAT_SECONDS * 1000);
    this.#timers.add(timer);
    return () => clearTimeout(timer);
  }

  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const client of this.clients.values()) client.leave();
  }
}

/** So many a second, one after the other. */
async function paced<T>(all: readonly T[], perSecond: number, work: (one: T) => unknown): Promise<void> {
  const begun = performance.now();
  const running: unknown[] = [];
  for (const [n, one] of all.entries()) {
    await pause(Math.max(0, begun + (n * 1000) / perSecond - performance.now()));
    running.push(work(one));
  }
  await Promise.all(running);
}

const names = (prefix: string, count: number) => Array.from({ length: count }, (_, n) => `${prefix}-${n}`);

/** What each costs, in CPU of all of the peer's processes. */
export interface Costs {
  /** µs. */
  connect: number;
  heartbeat: number;
  told: number;
  /** ms a second for a thousand who are there and beat every BEAT_SECONDS. */
  idle: number;
}

export interface Sizes {
  users: number;
  perSecond: number;
  beatsPerSecond: number;
  beatSeconds: number;
  changes: number;
  watchers: number;
  idleSeconds: number;
}

export async function costsOf(peer: Peer, sizes: Sizes): Promise<Costs> {
  const crowd = new Crowd(peer);
  try {
    const warm = names('warm', 30);
    await paced(warm, sizes.perSecond, (name) => crowd.add({ name, node: 0 }));
    const users = names('user', sizes.users);
    const connects = await costBeyondIdle(peer, IDLE_SECONDS, async () => {
      await paced(users, sizes.perSecond, (name) => crowd.add({ name, node: 0 }));
      await pause(1000);
    });
    for (const name of [...warm, ...users]) crowd.keepBeating(name);
    await pause(2000);
    const idle = await costOf(peer, () => pause(sizes.idleSeconds * 1000));
    const beats = sizes.beatsPerSecond * sizes.beatSeconds;
    const heartbeats = await costBeyondIdle(peer, IDLE_SECONDS, async () => {
      const turns = Array.from({ length: beats }, (_, n) => users[n % users.length] ?? '');
      await paced(turns, sizes.beatsPerSecond, (name) => crowd.clients.get(name)?.beat());
      await pause(500);
    });
    return {
      connect: (connects.ms * 1000) / users.length,
      idle: idle.ms / sizes.idleSeconds / ((users.length + warm.length) / 1000),
      heartbeat: (heartbeats.ms * 1000) / beats,
      told: await toldCost(peer, crowd, sizes),
    };
  } finally {
    crowd.stop();
  }
}

/** µs for each event told of a login to all who watch, the login included. */
async function toldCost(peer: Peer, crowd: Crowd, { changes, watchers }: Sizes): Promise<number> {
  const changing = names('coming', changes);
  const watching = names('watcher', watchers);
  for (const name of watching) await peer.befriend(name, changing);
  let told = 0;
  const hear = (name: string, here: boolean) => {
    if (here && name.startsWith('coming-')) told += 1;
  };
  for (const name of watching) {
    await crowd.add({ name, node: 0, watches: changing, told: hear });
    crowd.keepBeating(name);
  }
  await pause(2000);
  told = 0;
  const cost = await costBeyondIdle(peer, IDLE_SECONDS, async () => {
    await paced(changing, 10, (name) => crowd.add({ name, node: 0 }));
    const limit = performance.now() + TOLD_LIMIT_MS;
    while (told < changes * watchers && performance.now() < limit) await pause(20);
  });
  if (told < changes * watchers) throw new Error(`${peer.name} told ${told} of ${changes * watchers} events`);
  return (cost.ms * 1000) / told;
}

/** After how many seconds somebody whose connection says nothing any more was told away; null: not while it was waited. */
export async function frozenNoticed(peer: Peer, count: number, limitSeconds: number): Promise<(number | null)[]> {
  const crowd = new Crowd(peer);
  try {
    const users = names('frozen', count);
    const gone = new Map<string, number>();
    const frozenAt = new Map<string, number>();
    await peer.befriend('watcher-of-frozen', users);
    const told = (name: string, here: boolean) => {
      // Some are told away before they come first.
      if (!here && frozenAt.has(name)) gone.set(name, performance.now());
    };
    await crowd.add({ name: 'watcher-of-frozen', node: 0, watches: users, told });
    crowd.keepBeating('watcher-of-frozen');
    for (const name of users) await crowd.add({ name, node: 0 });
    const stops = users.map((name) => crowd.keepBeating(name));
    await pause(BEAT_SECONDS * 2000);
    for (const [n, name] of users.entries()) {
      stops[n]?.();
      crowd.clients.get(name)?.freeze();
      frozenAt.set(name, performance.now());
      await pause((BEAT_SECONDS * 1000) / count);
    }
    const limit = performance.now() + limitSeconds * 1000;
    while (gone.size < count && performance.now() < limit) await pause(50);
    return users.map((name) => {
      const [at, from] = [gone.get(name), frozenAt.get(name)];
      return at === undefined || from === undefined ? null : (at - from) / 1000;
    });
  } finally {
    crowd.stop();
  }
}

export interface NodeEnded {
  staying: number;
  /** Of those who came back to the other node within 3 s, so many were told away. */
  falselyAway: number;
  leaving: number;
  /** Those who did not come back and were never told away. */
  ghosts: number;
  /** Seconds until those who did not come back were told away, the last of them. */
  lastTold: number | null;
}

/** One of two nodes ends; most of its users come back to the other one within 1 to 3 s, some do not. */
export async function nodeEnds(peer: Peer, how: 'SIGKILL' | 'SIGTERM', limitSeconds: number): Promise<NodeEnded> {
  const crowd = new Crowd(peer);
  try {
    const staying = names('staying', 60);
    const leaving = names('leaving', 20);
    await peer.befriend('watcher-of-all', [...staying, ...leaving]);
    const awayAt = new Map<string, number>();
    let ended = Number.POSITIVE_INFINITY;
    const told = (name: string, here: boolean) => {
      if (!here && performance.now() >= ended) awayAt.set(name, performance.now());
    };
    await crowd.add({ name: 'watcher-of-all', node: 1, watches: [...staying, ...leaving], told });
    crowd.keepBeating('watcher-of-all');
    const comeBack = async (name: string) => {
      await pause(1000 + Math.random() * 2000);
      await crowd.add({ name, node: 1 });
    };
    let stop = false;
    const back: Promise<void>[] = [];
    for (const name of staying) {
      await crowd.add({ name, node: 0, lost: () => !stop && back.push(comeBack(name)) });
      crowd.keepBeating(name);
    }
    for (const name of leaving) await crowd.add({ name, node: 0, lost: () => crowd.clients.delete(name) });
    for (const name of leaving) crowd.keepBeating(name);
    await pause(3000);
    ended = performance.now();
    await peer.end(0, how);
    await pause(limitSeconds * 1000);
    stop = true;
    await Promise.all(back);
    const times = leaving.flatMap((name) => awayAt.get(name) ?? []);
    return {
      staying: staying.length,
      falselyAway: staying.filter((name) => awayAt.has(name)).length,
      leaving: leaving.length,
      ghosts: leaving.length - times.length,
      lastTold: times.length === 0 ? null : (Math.max(...times) - ended) / 1000,
    };
  } finally {
    crowd.stop();
  }
}
