import { type Spread, spreadOf } from '../measure/statistics.ts';

const ONE = '42["user_status_change",';
const SEVERAL = '42["user_status_changes",';
/** Delays that are kept; of more only the number is. */
const MOST = 2_000_000;

export interface Change {
  userId: string;
  status: 'active' | 'inactive';
  lastSeen?: string | null;
  version?: number;
  /** The tutorial's: when the server said so (ms). */
  at?: number;
}

/**
 * What a delay is counted from. `change`: the moment of the change by the store's clock, which is this machine's too;
 * `silenceMs`: when the user had to be told inactive, so many ms after the last sign of life. That is the last seen of the
 * change, or where a system has none, `each` ms further for each user from `beganAt` on, by the number in the id. null: only count.
 */
export type CountFrom = { change: true } | { silenceMs: number; last?: { beganAt: number; eachMs: number } } | null;

export interface Told {
  frames: number;
  changes: number;
  active: number;
  inactive: number;
  late: Spread;
}

/** What clients were told since it began. */
export class ToldCount {
  readonly #from: CountFrom;
  readonly #prefix: string;
  #frames = 0;
  #changes = 0;
  #active = 0;
  readonly #lateMs: number[] = [];

  /** `prefix`: only of users whose id begins so. */
  constructor(from: CountFrom, prefix: string) {
    this.#from = from;
    this.#prefix = prefix;
  }

  get changes(): number {
    return this.#changes;
  }

  take(packet: Buffer): void {
    const several = packet.toString('latin1', 0, SEVERAL.length) === SEVERAL;
    if (!several && packet.toString('latin1', 0, ONE.length) !== ONE) return;
    this.#frames++;
    if (this.#from === null && this.#prefix === '' && !several) {
      this.#changes++;
      return;
    }
    const [, payload] = JSON.parse(packet.toString('latin1', 2)) as [string, Change & { changes?: Change[] }];
    for (const change of payload.changes ?? [payload]) this.#note(change);
  }

  figures(): Told {
    const inactive = this.#from === null ? 0 : this.#changes - this.#active;
    const counts = { frames: this.#frames, changes: this.#changes, active: this.#active, inactive };
    return { ...counts, late: spreadOf(this.#lateMs) };
  }

  #note(change: Change): void {
    if (!change.userId.startsWith(this.#prefix)) return;
    this.#changes++;
    if (change.status === 'active') this.#active++;
    const from = this.#from;
    if (from === null || this.#lateMs.length >= MOST) return;
    if ('change' in from) this.#lateMs.push(Date.now() - (change.version ?? change.at ?? Number.NaN));
    else if (change.status === 'inactive') {
      this.#lateMs.push(Date.now() - this.#lastOf(change, from.last) - from.silenceMs);
    }
  }

  #lastOf({ userId, lastSeen }: Change, last: { beganAt: number; eachMs: number } | undefined): number {
    if (!last) return Date.parse(lastSeen ?? '');
    return last.beganAt + Number(userId.slice(this.#prefix.length)) * last.eachMs;
  }
}
