import type { Detail, Status, StoredSource, StoredUser } from '../../src/presence/change.ts';
import { DEFAULT_DETAIL_ORDER, strongestFirst } from '../../src/presence/detail.ts';
import type { OutboxEntry } from '../../src/redis/outbox-entry.ts';

interface Row {
  version: number;
  lastSeen: number | null;
  status: Status;
  hidden: { until: number | null } | null;
  hiddenSetAt: number | null;
  sources: Map<string, { detail: Detail; until: number | null }>;
  detailRevision: number;
}

const NEVER_CAME = {
  version: 0,
  lastSeen: null,
  status: 'inactive',
  hidden: null,
  sources: [],
  detailRevision: 0,
} as const;

function dropEnded(row: Row, now: number): void {
  for (const [source, { until }] of row.sources) if (until !== null && until <= now) row.sources.delete(source);
}

/**
 * What PostgreSQL would hold, by the rules of postgres/history.ts and postgres/users.ts: everything recorded in order,
 * nothing going backwards, a choice written before it is answered.
 */
export class StoredUsersOfWorld {
  readonly #rows = new Map<string, Row>();
  /** Of those who ever restricted anything. */
  readonly revisions = new Map<string, number>();

  of(userId: string): Readonly<Row> | undefined {
    return this.#rows.get(userId);
  }

  /** As the stores are told of it. */
  stored(userId: string, now: number): StoredUser {
    const row = this.#rows.get(userId);
    const privacyRevision = this.revisions.get(userId) ?? 0;
    if (!row) return { ...NEVER_CAME, privacyRevision };
    const { version, lastSeen, status, hidden, detailRevision } = row;
    const sources = this.sources(userId, now);
    const until = hidden?.until ?? null;
    if (hidden === null || (until !== null && until <= now))
      return { version, lastSeen, status, hidden: null, sources, detailRevision, privacyRevision };
    return {
      version,
      lastSeen,
      status,
      hidden: { remainingMs: until === null ? null : until - now },
      sources,
      detailRevision,
      privacyRevision,
    };
  }

  /** The strongest first, those over included. */
  sources(userId: string, now: number): StoredSource[] {
    const all = [...(this.#rows.get(userId)?.sources ?? [])].map(([source, { detail, until }]) => {
      return { source, detail, remainingMs: until === null ? null : until - now };
    });
    return strongestFirst(all, DEFAULT_DETAIL_ORDER);
  }

  record(entry: OutboxEntry, now: number): void {
    if (entry.kind !== 'change' && entry.kind !== 'note') return;
    const { userId, version, status, lastSeen, at } = entry.change;
    const row = this.#row(userId);
    if (lastSeen !== null) row.lastSeen = Math.max(lastSeen, row.lastSeen ?? 0);
    if (entry.change.detail !== undefined || entry.change.cause === 'detail') dropEnded(row, now);
    if (version > row.version) Object.assign(row, { version, status });
    if (entry.kind === 'note' && entry.clearsHidden && at >= (row.hiddenSetAt ?? 0)) {
      Object.assign(row, { hidden: null, hiddenSetAt: at });
    }
  }

  saveHidden(userId: string, until: number | null, setAt: number): void {
    Object.assign(this.#row(userId), { hidden: { until }, hiddenSetAt: setAt });
  }

  /** With nothing in it: the source says nothing any more. What is over goes with it. */
  saveDetail(userId: string, source: string, detail: Detail, until: number | null, now: number): void {
    const row = this.#row(userId);
    dropEnded(row, now);
    row.sources.delete(source);
    if (Object.keys(detail).length > 0) row.sources.set(source, { detail, until });
    row.detailRevision = Math.max(row.detailRevision + 1, now);
  }

  clearHidden(userId: string, setAt: number): void {
    const row = this.#row(userId);
    if (row.hidden !== null) Object.assign(row, { hidden: null, hiddenSetAt: setAt });
  }

  #row(userId: string): Row {
    let row = this.#rows.get(userId);
    if (!row) {
      const nothing = { hidden: null, hiddenSetAt: null, sources: new Map(), detailRevision: 0 };
      row = { version: 0, lastSeen: null, status: 'inactive', ...nothing };
      this.#rows.set(userId, row);
    }
    return row;
  }
}
