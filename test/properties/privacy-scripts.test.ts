import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type Access,
  accessOf,
  OPEN,
  PRECISIONS,
  type Precision,
  type PrivacyStep,
  VISIBILITIES,
  type Visibility,
} from '../../src/presence/visibility.ts';
import { RedisClock } from '../../src/redis/clock.ts';
import { shardOf } from '../../src/redis/keys.ts';
import { PrivacyCache } from '../../src/redis/privacy-cache.ts';
import { NO_TRACING } from '../../src/telemetry/tracing.ts';
import { openRoom, type Room, TTL_MS } from './room.ts';

/** As in scripts-follow-the-rules.long.test.ts. */
const { PROPERTY_SEED = '1', PROPERTY_SECONDS = '8' } = process.env;
const limitMs = Number(PROPERTY_SECONDS) * 1000;
const RUNS_AT_ONCE = 10;
const VIEWERS = ['ann', 'bob', 'cyd'];

/** One thing that happens. `told` false: whoever did it died before Redis heard of it. */
type Step =
  | { do: 'allow'; visibility: Visibility; lastSeenVisibility: Visibility; lastSeenPrecision: Precision; told: boolean }
  | { do: 'block' | 'unblock' | 'befriend' | 'unfriend'; viewer: number; told: boolean }
  | { do: 'come' | 'leave' | 'erase' }
  /** Whatever of earlier changes comes late, as it was then. */
  | { do: 'tell an older one'; which: number }
  | { do: 'tell' | 'note all' }
  | { do: 'lose privacy' | 'lose record' | 'lose mark' | 'lose who is restricted' }
  /** PostgreSQL is put back to what it was some changes ago. */
  | { do: 'restore'; changes: number };

const plain = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(model, { noNullPrototype: true });
const visibility = fc.constantFrom(...VISIBILITIES);
const lastSeenPrecision = fc.constantFrom(...PRECISIONS);
const told = fc.boolean();
const only = <Name extends string>(...names: Name[]) => plain({ do: fc.constantFrom(...names) });
const weighted: [number, fc.Arbitrary<Step>][] = [
  [5, plain({ do: fc.constant('allow'), visibility, lastSeenVisibility: visibility, lastSeenPrecision, told })],
  [5, plain({ do: fc.constantFrom('block', 'unblock', 'befriend', 'unfriend'), viewer: fc.nat(2), told })],
  [4, only('come', 'leave')],
  [1, only('erase')],
  [2, plain({ do: fc.constant('tell an older one'), which: fc.nat(5) })],
  [4, only('tell', 'note all')],
  [5, only('lose privacy', 'lose record', 'lose mark', 'lose who is restricted')],
  [1, plain({ do: fc.constant('restore'), changes: fc.integer({ min: 1, max: 4 }) })],
];
const steps = fc.array(fc.oneof(...weighted.map(([weight, arbitrary]) => ({ weight, arbitrary }))), {
  minLength: 1,
  maxLength: 40,
  size: 'max',
});

/** What PostgreSQL has of a user. */
interface Row {
  revision: number;
  visibility: Visibility;
  lastSeenVisibility: Visibility;
  lastSeenPrecision: Precision;
  friends: ReadonlySet<string>;
  blocks: ReadonlySet<string>;
}

const NEW: Row = {
  revision: 0,
  ...OPEN,
  ...{ friends: new Set(), blocks: new Set() },
};

const isOpen = ({ visibility, lastSeenVisibility, lastSeenPrecision: precision, blocks }: Row) =>
  visibility === 'everyone' && lastSeenVisibility === 'everyone' && precision === 'exact' && blocks.size === 0;
const asks = ({ visibility, lastSeenVisibility }: Row) => [visibility, lastSeenVisibility].includes('friends');
const seenBy = (viewer: string, row: Row): Access =>
  accessOf(row, { self: false, friend: row.friends.has(viewer), blocked: row.blocks.has(viewer) });
const between = (before: ReadonlySet<string>, after: ReadonlySet<string>) => ({
  added: [...after.difference(before)],
  removed: [...before.difference(after)],
});

let room: Room;
let privacy: PrivacyCache;
let users = 0;
/** No two changes are made in one millisecond: a PostgreSQL that was put back has taken longer than that. */
let clock = 0;
const tick = () => {
  clock = Math.max(clock + 1, Date.now());
  return clock;
};
beforeAll(async () => {
  room = await openRoom('privacy scripts');
  privacy = new PrivacyCache(room.redis, room.keys, new RedisClock(), TTL_MS, NO_TRACING);
});
afterAll(() => room.close());

/** A user on the scripts, with the rows that PostgreSQL would have, told as usecases/privacy.ts tells. */
class Told {
  readonly userId = `user${users++}`;
  readonly #rows: Row[] = [NEW];
  /** What Redis was last told, and what PostgreSQL said when it was last asked: of a user without a record, or of all. */
  heard: Row = NEW;
  asked: Row = NEW;
  #session: { userId: string; sessionId: string; conn: string } | null = null;

  get row(): Row {
    return this.#rows.at(-1) ?? NEW;
  }

  async do(step: Step): Promise<void> {
    const { redis, keys } = room;
    switch (step.do) {
      case 'allow':
        return this.#change(step, step.told);
      case 'block':
      case 'unblock':
      case 'befriend':
      case 'unfriend':
        return this.#relate(step.do, VIEWERS[step.viewer] ?? '', step.told);
      case 'come':
        return this.#come();
      case 'leave':
        if (this.#session) await room.store.close(this.#session, 0, 0);
        this.#session = null;
        return;
      case 'erase':
        await room.store.erase(this.userId);
        this.#session = null;
        this.#rows.push(NEW);
        // Nobody may see what is on its way, and whoever comes back begins anew.
        this.heard = NEW;
        this.asked = NEW;
        return;
      case 'tell an older one':
        return this.#tell(this.#rows.at(-1 - step.which) ?? this.row, null);
      case 'tell':
        return this.#tell(this.row, null);
      case 'note all':
        if (isOpen(this.row)) this.asked = this.row;
        else await privacy.noteRestricted([this.userId]);
        return privacy.noteAllRestricted();
      case 'lose privacy':
        await redis.del(keys.privacy(this.userId));
        return;
      case 'lose record':
        await redis.del(keys.record(this.userId));
        this.#session = null;
        return;
      case 'lose mark':
        await redis.hdel(keys.record(this.userId), 'r');
        return;
      case 'lose who is restricted':
        await redis.del(keys.restricted(shardOf(this.userId)));
        return;
      case 'restore':
        this.#rows.push(this.#rows.at(-1 - step.changes) ?? NEW);
    }
  }

  /** What each viewer may see for all that Redis knows, by every way of asking. */
  async accesses(): Promise<{ viewer: string; access: Access | 'unknown' }[]> {
    const shard = shardOf(this.userId);
    const looks = VIEWERS.map(async (viewer) => {
      const { users } = await room.store.readStatuses(shard, [this.userId], viewer);
      const snapshot = await room.store.snapshot(shard, [this.userId], viewer);
      const [glanced] = await room.store.glance([this.userId], false);
      const all = glanced ? [{ access: 'all' as const }] : [];
      return [...users, ...snapshot.users, ...all].map(({ access }) => ({ viewer, access }));
    });
    return (await Promise.all(looks)).flat();
  }

  async #come(): Promise<void> {
    const conn = `web.${this.userId}`;
    const session = { userId: this.userId, sessionId: 'phone', conn };
    const device = { kind: 'mobile' as const, name: '', state: 'active' as const };
    const ages = { beatAgeMs: 0, connectedAgeMs: 0, maxSessions: 20, mode: 'connect' as const };
    const { row } = this;
    const known = {
      version: 0,
      lastSeen: null,
      status: 'inactive' as const,
      hidden: null,
      sources: [],
      detailRevision: 0,
    };
    const seed = { ...known, privacyRevision: isOpen(row) ? 0 : row.revision };
    if (!(await room.redis.exists(room.keys.record(this.userId)))) this.asked = row;
    await room.store.open({ ...session, ...device, ...ages, claims: null }, seed);
    this.#session = session;
  }

  #relate(how: 'block' | 'unblock' | 'befriend' | 'unfriend', viewer: string, told: boolean): Promise<void> {
    const list = how.endsWith('block') ? 'blocks' : 'friends';
    const changed = new Set(this.row[list]);
    if (how.startsWith('un')) changed.delete(viewer);
    else changed.add(viewer);
    return this.#change({ [list]: changed }, told);
  }

  async #change(to: Partial<Row>, told: boolean): Promise<void> {
    const before = this.row;
    const { visibility = before.visibility, lastSeenVisibility = before.lastSeenVisibility } = to;
    const { friends = before.friends, blocks = before.blocks, lastSeenPrecision = before.lastSeenPrecision } = to;
    const after: Row = { revision: 0, visibility, lastSeenVisibility, lastSeenPrecision, friends, blocks };
    after.revision = Math.max(before.revision + 1, tick());
    this.#rows.push(after);
    if (!told) return;
    await this.#tell(after, {
      previous: before.revision,
      wasOpen: isOpen(before),
      own: true,
      friendsBegin: !asks(before) && asks(after),
      friends: between(before.friends, friends),
      blocks: between(before.blocks, blocks),
    });
  }

  async #tell(row: Row, step: PrivacyStep | null): Promise<void> {
    const seed = (await room.redis.exists(room.keys.record(this.userId))) ? null : 'new';
    const { friends, blocks, ...decides } = row;
    const wanted = { ...decides, open: isOpen(row) };
    let staged = step?.friendsBegin ? await this.#stage(row) : null;
    for (let attempt = 0; attempt < 4; attempt++) {
      const { code, revision: has } = await privacy.set(this.userId, wanted, step, staged, seed);
      if (code === 'ok') {
        this.heard = row;
        this.asked = row;
        return;
      }
      if (code === 'whole') staged = await this.#stage(row);
      // What was said late is of no use; what PostgreSQL says now is made again above what stands there.
      else if (code === 'old' && row === this.row) {
        const again: Row = { ...this.row, friends, blocks, revision: Math.max(has + 1, tick()) };
        this.#rows.push(again);
        return this.#tell(again, null);
      } else if (code === 'old') return;
    }
    expect.unreachable('It was never told');
  }

  async #stage({ friends, blocks, ...row }: Row) {
    const staged = { token: `staged ${this.userId}`, size: 0 };
    await room.redis.del(room.keys.stagedPrivacy(shardOf(this.userId), staged.token));
    const lists = { friends: asks({ friends, blocks, ...row }) ? [...friends] : [], blocks: [...blocks] };
    for (const list of ['friends', 'blocks'] as const) {
      await privacy.stage(this.userId, staged.token, list, lists[list]);
      staged.size += lists[list].length;
    }
    return staged;
  }
}

test('whatever Redis loses of who may see a user, it says what it was told last, or that it does not know; and once told anew it knows', {
  timeout: limitMs + 120_000,
}, async () => {
  await privacy.noteAllRestricted();
  const property = fc.asyncProperty(steps, async (all) => {
    const user = new Told();
    for (const step of all) {
      await user.do(step);
      for (const { viewer, access } of await user.accesses()) {
        const said = [user.heard, user.asked].map((row) => seenBy(viewer, row));
        expect([...said, 'unknown', 'nothing'], `${viewer} after ${JSON.stringify(step)}`).toContain(access);
      }
    }
    await user.do({ do: 'note all' });
    await user.do({ do: 'tell' });
    for (const { viewer, access } of await user.accesses()) expect(access, viewer).toBe(seenBy(viewer, user.row));
  });
  const until = performance.now() + limitMs;
  let runs = 0;
  for (let seed = Number(PROPERTY_SEED); performance.now() < until; seed++) {
    const details = await fc.check(property, { seed, numRuns: RUNS_AT_ONCE });
    if (details.failed) throw new Error(fc.defaultReportMessage(details), { cause: details.errorInstance });
    runs += details.numRuns;
  }
  expect(runs).toBeGreaterThan(0);
  console.log(`${runs} random sequences`);
});
