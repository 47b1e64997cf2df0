import type { FollowUp } from '../presence/follow-up.ts';
import { isTraced, NO_TRACING, type TraceContext, type Tracing } from '../telemetry/tracing.ts';
import { isRedisAway } from './absence.ts';
import type { RedisClock } from './clock.ts';
import type { RedisClient } from './connect.ts';
import { type Keys, shardOf } from './keys.ts';
import type { Pulse } from './pulse.ts';
import { pictureOf } from './room-reading.ts';
import type { RoomPicture, ToldOfRooms } from './room-types.ts';
import { followUpOf, type Reply, runScript, type ScriptName } from './scripts.ts';

/** Users that are shown of a picture: the first of them, by their ids. */
export const PICTURED = 100;
/** No script is long. */
const APPLIED_AT_ONCE = 200;
const PICTURES_AT_ONCE = 20;

export interface RoomLimits {
  /** Above so many users a room is told as a count. */
  limit: number;
  /** Of which rooms backends are told when they become occupied or vacated: what their ids begin with. */
  told: readonly string[];
}

/** Where the lists are. */
export interface ListsWhere {
  redis: RedisClient;
  keys: Keys;
  clock: RedisClock;
  pulse: Pick<Pulse, 'epochOf'>;
  ttlMs: number;
  tracing?: Tracing;
}

/** What writing to a shard left to do. `owedInMs`: when there is something to tell that was put off; null: nothing is. */
export interface Applied {
  shard: number;
  owedInMs: number | null;
  followUp: FollowUp;
}

/** `applied`: of the shards that were written to, but for those that another one who asked at the same time is told of. */
export interface Written {
  applied: Applied[];
  picture: RoomPicture | null;
}

/** What is asked of one shard in a call. */
interface Part {
  /** What is applied, as the script is given it. */
  lines: (string | number)[][];
  pictured: string[];
}

interface Asked {
  parts: ReadonlyMap<number, Part>;
  trace: TraceContext;
  resolve(written: { applied: Applied[]; pictures: ReadonlyMap<string, RoomPicture> }): void;
  reject(error: unknown): void;
}

/**
 * Writes lists of rooms. What is asked for in one turn of the event loop goes together, a call for each node: those who come in a crowd are
 * known to come at the same moment, for the script that says so takes them together.
 */
export class ListWrites {
  readonly #where: ListsWhere;
  readonly #limits: RoomLimits;
  readonly #waiting = new Map<number, Asked[]>();

  constructor(where: ListsWhere, limits: RoomLimits) {
    this.#where = where;
    this.#limits = limits;
  }

  /** As `RoomLists.apply`. */
  async apply(all: readonly ToldOfRooms[], pictured: string | null): Promise<Written> {
    const groups = new Map<number, Map<number, Part>>();
    const partOf = (roomId: string): Part => {
      const shard = shardOf(roomId);
      const parts = groups.get(this.#groupOf(shard)) ?? new Map<number, Part>();
      groups.set(this.#groupOf(shard), parts);
      return partIn(parts, shard);
    };
    if (pictured !== null) partOf(pictured).pictured.push(pictured);
    for (const { userId, sequence, rooms } of all) {
      for (const [roomId, room] of rooms) {
        const fed = this.#limits.told.some((prefix) => roomId.startsWith(prefix)) ? 1 : 0;
        const said = room ? [room.since, room.access, room.idle ? 'i' : '', room.data] : ['', '', '', ''];
        partOf(roomId).lines.push([roomId, userId, sequence, ...said, fed]);
      }
    }
    const written = await Promise.all([...groups].map(([group, parts]) => this.#ask(group, parts)));
    const pictures = written.map((one) => (pictured === null ? undefined : one.pictures.get(pictured)));
    return {
      applied: written.flatMap(({ applied }) => applied),
      picture: pictures.find((picture) => picture !== undefined) ?? null,
    };
  }

  /** Tells what was put off in a shard and is due. */
  async tellOwed(shard: number): Promise<Applied[]> {
    return (await this.#ask(this.#groupOf(shard), new Map([[shard, { lines: [], pictured: [] }]]))).applied;
  }

  #groupOf(shard: number): number {
    return this.#where.keys.slotGroupOf(shard);
  }

  #ask(group: number, parts: Asked['parts']): Promise<Parameters<Asked['resolve']>[0]> {
    const trace = (this.#where.tracing ?? NO_TRACING).current();
    return new Promise((resolve, reject) => {
      const asked = { parts, trace, resolve, reject };
      // What is traced stays apart, or it would be told what others have caused.
      if (isTraced(trace)) {
        void this.#write([asked]);
        return;
      }
      const waiting = this.#waiting.get(group);
      if (waiting) {
        waiting.push(asked);
        return;
      }
      this.#waiting.set(group, [asked]);
      process.nextTick(() => {
        const all = this.#waiting.get(group) ?? [];
        this.#waiting.delete(group);
        void this.#write(all);
      });
    });
  }

  /** Where one of them is at fault the others must not suffer for it: each is written by itself. */
  async #write(all: readonly Asked[]): Promise<void> {
    try {
      const pictures = new Map<string, RoomPicture>();
      const applied: Applied[] = [];
      for (const parts of callsOf(all)) applied.push(...(await this.#call(parts, all[0]?.trace ?? '', pictures)));
      // What is left to do is for one of them.
      for (const { resolve } of all) resolve({ applied: applied.splice(0), pictures });
    } catch (error) {
      if (all.length === 1 || isRedisAway(error)) for (const { reject } of all) reject(error);
      else for (const one of all) void this.#write([one]);
    }
  }

  async #call(
    parts: ReadonlyMap<number, Part>,
    trace: TraceContext,
    pictures: Map<string, RoomPicture>,
  ): Promise<Applied[]> {
    const args = [...parts].flatMap(([shard, { lines, pictured }]) => [
      epochOf(this.#where, shard),
      pictured.length,
      lines.length,
      ...pictured,
      ...lines.flat(),
    ]);
    const head = [PICTURED + 1, isTraced(trace) ? trace : ''];
    const replies = await runOnLists(this.#where, this.#limits, 'apply-rooms', [...parts.keys()], [...head, ...args]);
    return [...parts].map(([shard, { pictured }], n) => {
      const [wake, owed, shown] = replies[n] as [Reply, Reply, Reply[][]];
      for (const [at, roomId] of pictured.entries()) pictures.set(roomId, pictureOf(roomId, shown[at] ?? []));
      return { shard, owedInMs: Number(owed) < 0 ? null : Number(owed), followUp: followUpOf(shard, wake, trace) };
    });
  }
}

/** By which a caller knows the store of a shard; '': it does not. */
export function epochOf({ pulse }: ListsWhere, shard: number): string {
  return pulse.epochOf(shard) ?? '';
}

/** Runs a script on the lists of some shards of one node. */
export function runOnLists(
  { redis, keys, clock, ttlMs }: ListsWhere,
  { limit }: RoomLimits,
  script: ScriptName,
  shards: readonly number[],
  args: (string | number)[],
): Promise<Reply[]> {
  const [first = 0] = shards;
  const names = shards.flatMap((shard) => [
    keys.outbox(shard),
    keys.wake('deliver', shard),
    keys.wake('record', shard),
    keys.roomCounts(shard),
    keys.roomsLeft(shard),
    keys.roomsOwed(shard),
    keys.roomsSaid(shard),
    keys.epoch(shard),
    keys.roomsUnsettled(shard),
  ]);
  const head = [keys.stem, keys.tag(first), ttlMs, clock.now(first), limit];
  return runScript(redis, script, [...names, ...keys.guard(first)], [...head, ...args]);
}

function partIn(parts: Map<number, Part>, shard: number): Part {
  const part = parts.get(shard) ?? { lines: [], pictured: [] };
  parts.set(shard, part);
  return part;
}

/** All that was asked, in its order, by calls of which none is long; pictures are taken once all is applied. */
function callsOf(all: readonly Asked[]): ReadonlyMap<number, Part>[] {
  const shards = new Set<number>();
  const lines: { shard: number; line: Part['lines'][number] }[] = [];
  const pictured = new Map<string, number>();
  for (const [shard, part] of all.flatMap(({ parts }) => [...parts])) {
    shards.add(shard);
    for (const line of part.lines) lines.push({ shard, line });
    for (const roomId of part.pictured) pictured.set(roomId, shard);
  }
  const rooms = [...pictured];
  const calls: Map<number, Part>[] = [];
  do {
    const parts = new Map<number, Part>();
    if (calls.length === 0) for (const shard of shards) partIn(parts, shard);
    for (const { shard, line } of lines.splice(0, APPLIED_AT_ONCE)) partIn(parts, shard).lines.push(line);
    if (lines.length === 0) {
      for (const [roomId, shard] of rooms.splice(0, PICTURES_AT_ONCE)) partIn(parts, shard).pictured.push(roomId);
    }
    calls.push(parts);
  } while (lines.length > 0 || rooms.length > 0);
  return calls;
}
