import fc from 'fast-check';
import type { SessionState } from '../../src/presence/session.ts';

/** What is tried: a TTL of a minute, sessions with another, and times that meet its edges, miss them by one, and lie in between. */
export const TTL_MS = 60_000;
export const HANDOVER_MS = 15_017;
export const GRACE_MS = 5_003;
export const MAX_SESSIONS = 3;
export const USERS = 3;

/** One thing that happens. Users, devices and connections go by number; a connection's is taken modulo those there were. */
export type Step =
  /** `seedAnyway`: another process made the record between this one's question and its answer. */
  | {
      do: 'open';
      user: number;
      device: number | null;
      ttlMs: number | null;
      ageMs: number;
      lateMs: number | null;
      seedAnyway: boolean;
      state: SessionState;
    }
  | {
      do: 'lease';
      user: number;
      name: number;
      ttlMs: number;
      kind: 'agent' | null;
      state: SessionState | null;
      lateMs: number | null;
    }
  | { do: 'renew'; leases: { user: number; name: number }[]; lateMs: number | null }
  | { do: 'end lease'; user: number; name: number }
  /** The same hello once more, or one that arrives after its own goodbye. */
  | { do: 'open again'; conn: number }
  | { do: 'restore'; conn: number; ageMs: number; state: SessionState }
  | {
      do: 'beat';
      beats: { conn: number; ageMs: number; state: SessionState | null }[];
      lateMs: number | null;
      kept: boolean;
    }
  | { do: 'close'; conn: number; ageMs: number; graceMs: number; lateMs: number | null }
  | { do: 'hand over'; conns: number[] }
  | { do: 'hide'; user: number; forMs: number | null }
  /** 0: nothing any more. `late`: of what was said before, which comes to Redis behind what was said after it. */
  | { do: 'say'; user: number; source: number; what: number; forMs: number | null; late: boolean }
  | { do: 'restrict'; user: number }
  /** `follow` false: the process dies before it has dropped the earlier choice. */
  | { do: 'show'; user: number; follow: boolean }
  /** All sessions, or the one that connection `conn` once opened; `own`: only where it still holds it. */
  | { do: 'log out'; user: number; conn: number | null; own: boolean }
  | { do: 'look'; users: number[] }
  /** The timeout jobs that are due. */
  | { do: 'work' }
  | { do: 'sweep' }
  | { do: 'snapshot' }
  | { do: 'inspect'; user: number }
  | { do: 'time passes'; ms: number }
  /** Time passes while no process reaches Redis. */
  | { do: 'outage'; ms: number }
  | { do: 'pulse' }
  | { do: 'record' }
  | { do: 'postgres'; away: boolean }
  | { do: 'adopt' }
  | { do: 'lose everything' };

/** Plain objects, so that what is printed can be read. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(model, { noNullPrototype: true });

const user = fc.nat(USERS - 1);
const conn = fc.nat(40);
const maybeConn = fc.option(conn);
/** Below a second is the noise of an ordinary way, above it a wait in some buffer. */
const lateMs = fc.oneof({ weight: 5, arbitrary: fc.constant(null) }, fc.constantFrom(400, 1001, 20_000, TTL_MS));
const ageMs = fc.oneof(
  { weight: 4, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: fc.nat(1200) },
  { weight: 1, arbitrary: fc.nat(TTL_MS + 2000) },
);
const duration = fc.oneof(
  { weight: 3, arbitrary: fc.nat(2500) },
  { weight: 3, arbitrary: fc.nat(GRACE_MS + 500) },
  { weight: 3, arbitrary: fc.nat(TTL_MS) },
  { weight: 2, arbitrary: fc.integer({ min: TTL_MS - 30, max: TTL_MS + 30 }) },
  { weight: 1, arbitrary: fc.nat(4 * TTL_MS) },
);
const state = fc.constantFrom<SessionState>('active', 'idle');
const maybeState = fc.option(state, { freq: 1 });
const beats = fc.array(record({ conn, ageMs, state: maybeState }), { minLength: 1, maxLength: 4 });
const name = fc.nat(1);
const lease = record({ user, name });
const leaseTtlMs = fc.constantFrom(3000, TTL_MS, 3_600_000);
const kind = fc.option(fc.constant('agent' as const));
const forMs = fc.option(fc.integer({ min: 1, max: 2 * TTL_MS }));
const device = fc.option(fc.nat(2), { freq: 2 });
/** Of the session's own: shorter than a handover, longer than what is configured. */
const ttlMs = fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, fc.constantFrom(3000, 90_000, 600_000));

const weighted: [number, fc.Arbitrary<Step>][] = [
  [10, record({ do: fc.constant('open'), user, device, ttlMs, ageMs, lateMs, seedAnyway: fc.boolean(), state })],
  [5, record({ do: fc.constant('lease'), user, name, ttlMs: leaseTtlMs, kind, state: maybeState, lateMs })],
  [4, record({ do: fc.constant('renew'), leases: fc.array(lease, { minLength: 1, maxLength: 4 }), lateMs })],
  [2, record({ do: fc.constant('end lease'), user, name })],
  [1, record({ do: fc.constant('open again'), conn })],
  [3, record({ do: fc.constant('restore'), conn, ageMs, state })],
  [10, record({ do: fc.constant('beat'), beats, lateMs, kept: fc.boolean() })],
  [8, record({ do: fc.constant('close'), conn, ageMs, graceMs: fc.constantFrom(0, 0, GRACE_MS), lateMs })],
  [3, record({ do: fc.constant('hand over'), conns: fc.array(conn, { minLength: 1, maxLength: 3 }) })],
  [4, record({ do: fc.constant('hide'), user, forMs })],
  [7, record({ do: fc.constant('say'), user, source: fc.nat(2), what: fc.nat(2), forMs, late: fc.boolean() })],
  [3, record({ do: fc.constant('restrict'), user })],
  [4, record({ do: fc.constant('show'), user, follow: fc.boolean() })],
  [3, record({ do: fc.constant('log out'), user, conn: maybeConn, own: fc.boolean() })],
  [4, record({ do: fc.constant('look'), users: fc.uniqueArray(user, { minLength: 1 }) })],
  [4, record({ do: fc.constant('work') })],
  [3, record({ do: fc.constant('sweep') })],
  [4, record({ do: fc.constant('snapshot') })],
  [2, record({ do: fc.constant('inspect'), user })],
  [12, record({ do: fc.constant('time passes'), ms: duration })],
  [2, record({ do: fc.constant('outage'), ms: duration })],
  [3, record({ do: fc.constant('pulse') })],
  [3, record({ do: fc.constant('record') })],
  [2, record({ do: fc.constant('postgres'), away: fc.boolean() })],
  [2, record({ do: fc.constant('adopt') })],
  [1, record({ do: fc.constant('lose everything') })],
];

export const steps = fc.array(fc.oneof(...weighted.map(([weight, arbitrary]) => ({ weight, arbitrary }))), {
  minLength: 1,
  maxLength: 60,
  size: 'max',
});
