import { type Spread, spreadOf } from '../measure/statistics.ts';

const ROOM_CHANGE = '42["room_change",';

/** What is told of a room, as far as it is counted. */
interface RoomChange {
  joined?: { userId: string }[];
  /** `at`: when it was said (ms), by the clock of this machine. */
  changed?: { data: { at?: number } | null }[];
  left?: { userId: string }[];
}

export interface ToldOfRooms {
  frames: number;
  joined: number;
  changed: number;
  left: number;
  late: Spread;
}

/** What clients were told of rooms since it began. */
export class RoomsTold {
  readonly #counts = { frames: 0, joined: 0, changed: 0, left: 0 };
  readonly #lateMs: number[] = [];

  /** Whether a packet was about a room. */
  take(packet: Buffer): boolean {
    if (packet.toString('latin1', 0, ROOM_CHANGE.length) !== ROOM_CHANGE) return false;
    const [, { joined = [], changed = [], left = [] }] = JSON.parse(packet.toString('utf8', 2)) as [string, RoomChange];
    this.#counts.frames++;
    this.#counts.joined += joined.length;
    this.#counts.changed += changed.length;
    this.#counts.left += left.length;
    for (const { data } of changed) if (data?.at !== undefined) this.#lateMs.push(Date.now() - data.at);
    return true;
  }

  figures(): ToldOfRooms {
    return { ...this.#counts, late: spreadOf(this.#lateMs) };
  }
}
