import { RollcallError } from './rollcall-error.ts';
import type { Lease, LeaseName, LeaseRequest } from './types.ts';

/** What `holdLease` is told: whose lease, and what is said with it. */
export interface HoldOptions extends LeaseName, LeaseRequest {
  /** Where it is gone (after a loss of Redis, a logout, the removal of its session): it is put again, as by default, or given up. */
  ifMissing?: 'put' | 'stop' | undefined;
  /** Hears why it could not be renewed this time, or (undefined) that it is gone and was given up. */
  onLost?: ((error: RollcallError | undefined) => void) | undefined;
}

/** A lease that is renewed by itself until it is stopped. */
export interface HeldLease {
  readonly sessionId: string;
  /** Says something else of it from now on, such as `{ state: 'idle' }`. */
  update(change: { [Name in keyof LeaseRequest]?: LeaseRequest[Name] | undefined }): Promise<void>;
  /** Ends it, at once. Safe to call twice. */
  stop(): Promise<void>;
}

/** What is asked of Rollcall for it. */
export interface LeaseCalls {
  put(lease: LeaseName, body: LeaseRequest): Promise<Lease>;
  renew(leases: LeaseName[]): Promise<{ missing: LeaseName[] }>;
  remove(lease: LeaseName): Promise<void>;
}

interface Held extends LeaseName {
  said: LeaseRequest;
  options: HoldOptions;
  dueAt: number;
}

/** A lease is renewed three times in its life: one renewal may be lost, and the next be late. */
const RENEWALS = 3;
const AT_ONCE = 1000;

/** Renews the leases that one backend holds, those that are due at a time together. */
export class LeaseKeeper {
  readonly #calls: LeaseCalls;
  readonly #held = new Set<Held>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Renewing many is for services; with a user's token each is put again. */
  #puts = false;

  constructor(calls: LeaseCalls) {
    this.#calls = calls;
  }

  /** Puts a lease and keeps it. Rejects where it cannot be put at first. */
  async hold(options: HoldOptions): Promise<HeldLease> {
    const { userId, name, ttlSeconds, kind, state, rooms } = options;
    const held: Held = { userId, name, options, said: { ttlSeconds, kind, state, rooms }, dueAt: 0 };
    const { sessionId } = await this.#put(held);
    this.#held.add(held);
    this.#schedule();
    return {
      sessionId,
      update: async (change) => {
        held.said = { ...held.said, ...change, ttlSeconds: change.ttlSeconds ?? held.said.ttlSeconds };
        await this.#put(held);
        this.#schedule();
      },
      stop: async () => {
        if (!this.#held.delete(held)) return;
        this.#schedule();
        await this.#calls.remove({ userId, name });
      },
    };
  }

  async #put(held: Held): Promise<Lease> {
    const { userId, name, said } = held;
    const put = await this.#calls.put({ userId, name }, said);
    renewLater(held);
    return put;
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#held.size === 0) return;
    const dueAt = Math.min(...[...this.#held].map((held) => held.dueAt));
    this.#timer = setTimeout(() => void this.#renew(), Math.max(0, dueAt - Date.now()));
    // A program that has nothing else to do may end; Deno's timers are numbers.
    if (typeof this.#timer === 'object') this.#timer.unref?.();
  }

  async #renew(): Promise<void> {
    // Those that are due soon come along.
    const due = [...this.#held].filter(({ dueAt, said }) => dueAt - Date.now() < lifeMs(said) / RENEWALS / 4);
    for (const held of due) renewLater(held);
    for (let n = 0; n < due.length; n += AT_ONCE) await this.#renewSome(due.slice(n, n + AT_ONCE));
    this.#schedule();
  }

  async #renewSome(due: Held[]): Promise<void> {
    try {
      const gone = this.#puts ? due : await this.#missingOf(due);
      await Promise.all(gone.map((held) => this.#again(held)));
    } catch (error) {
      for (const { options } of due) options.onLost?.(error as RollcallError);
    }
  }

  async #missingOf(due: Held[]): Promise<Held[]> {
    try {
      const { missing } = await this.#calls.renew(due.map(({ userId, name }) => ({ userId, name })));
      const gone = new Set(missing.map(({ userId, name }) => `${userId} ${name}`));
      return due.filter(({ userId, name }) => gone.has(`${userId} ${name}`));
    } catch (error) {
      if (!(error instanceof RollcallError && error.code === 'FORBIDDEN')) throw error;
      this.#puts = true;
      return due;
    }
  }

  async #again(held: Held): Promise<void> {
    if (!this.#held.has(held)) return;
    const { ifMissing = 'put', onLost } = held.options;
    if (!this.#puts && ifMissing === 'stop') {
      this.#held.delete(held);
      onLost?.(undefined);
      return;
    }
    await this.#put(held).catch((error) => onLost?.(error));
    // Stopped while it was being put: the goodbye may have come first.
    if (!this.#held.has(held)) await this.#calls.remove({ userId: held.userId, name: held.name });
  }
}

function lifeMs({ ttlSeconds }: LeaseRequest): number {
  return ttlSeconds * 1000;
}

function renewLater(held: Held): void {
  held.dueAt = Date.now() + lifeMs(held.said) / RENEWALS;
}
