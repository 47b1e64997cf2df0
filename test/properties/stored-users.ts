import type { Detail, Status, StoredUser } from '../../src/presence/change.ts';
import type { OutboxEntry } from '../../src/redis/outbox-entry.ts';

interface Row {
  version: number;
  lastSeen: number | null;
  status: Status;
  hidden: { until: number | null } | null;
  hiddenSetAt: number | null;
  detail: { shown: Detail; until: number | null } | null;
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
    if (!row) return { version: 0, lastSeen: null, status: 'inactive', hidden: null, detail: null, privacyRevision };
    const { version, lastSeen, status, hidden } = row;
    const ends = row.detail?.until ?? null;
    const detail = row.detail && { shown: row.detail.shown, remainingMs: ends === null ? null : ends - now };
    const until = hidden?.until ?? null;
    if (hidden === null || (until !== null && until <= now))
      return { version, lastSeen, status, hidden: null, detail, privacyRevision };
    return {
      version,
      lastSeen,
      status,
      hidden: { remainingMs: until === null ? null : until - now },
      detail,
      privacyRevision,
    };
  }

  record(entry: OutboxEntry, now: number): void {
    if (entry.kind !== 'change' && entry.kind !== 'note') return;
    const { userId, version, status, lastSeen, at } = entry.change;
    const row = this.#row(userId);
    if (lastSeen !== null) row.lastSeen = Math.max(lastSeen, row.lastSeen ?? 0);
    if ((row.detail?.until ?? Number.POSITIVE_INFINITY) <= now) row.detail = null;
    if (version > row.version) Object.assign(row, { version, status });
    if (entry.kind === 'note' && entry.clearsHidden && at >= (row.hiddenSetAt ?? 0)) {
      Object.assign(row, { hidden: null, hiddenSetAt: at });
    }
  }

  saveHidden(userId: string, until: number | null, setAt: number): void {
    Object.assign(this.#row(userId), { hidden: { until }, hiddenSetAt: setAt });
  }

  saveDetail(userId: string, shown: Detail, until: number | null): void {
    this.#row(userId).detail = Object.keys(shown).length === 0 ? null : { shown, until };
  }

  clearHidden(userId: string, setAt: number): void {
    const row = this.#row(userId);
    if (row.hidden !== null) Object.assign(row, { hidden: null, hiddenSetAt: setAt });
  }

  #row(userId: string): Row {
    let row = this.#rows.get(userId);
    if (!row) {
      row = { version: 0, lastSeen: null, status: 'inactive', hidden: null, hiddenSetAt: null, detail: null };
      this.#rows.set(userId, row);
    }
    return row;
  }
}
