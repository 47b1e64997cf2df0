import { actsBefore, noteActs } from '../postgres/audit.ts';
import { isConnectionError } from '../postgres/errors.ts';
import type { NotedAct } from '../presence/acts.ts';
import type { AuditAnswer, AuditQuery } from '../protocol/audit.ts';
import type { Stores } from '../stores.ts';
import { readAuditCursor, writeAuditCursor } from './cursors.ts';
import { orUnavailable } from './unavailable.ts';

/** What the doors ask of the audit. */
export interface AuditApi {
  /** Acts that fit, newest first, a page of them. Throws INVALID_REQUEST for a garbled cursor, and UNAVAILABLE. */
  list(asked: AuditQuery): Promise<AuditAnswer>;
  /** Notes what was done; see `AuditLog`. Throws UNAVAILABLE. */
  note(...acts: NotedAct[]): Promise<void>;
}

/**
 * What operators and services did to people. An act is noted once it is done and before it is answered: in PostgreSQL, or,
 * where that is away, in a job that brings it there, for a session is signed out without PostgreSQL too.
 */
export class AuditLog implements AuditApi {
  readonly #stores: Pick<Stores, 'db' | 'queues'>;

  constructor(stores: Pick<Stores, 'db' | 'queues'>) {
    this.#stores = stores;
  }

  async note(...acts: NotedAct[]): Promise<void> {
    const at = Date.now();
    try {
      await noteActs(this.#stores.db, acts, at);
    } catch (error) {
      if (!isConnectionError(error)) throw error;
      await orUnavailable(() => this.#stores.queues.addNoteActs({ acts, at }));
    }
  }

  async list({ from, to, actor, subject, limit, cursor }: AuditQuery): Promise<AuditAnswer> {
    const moment = (iso: string | undefined) => (iso === undefined ? undefined : Date.parse(iso));
    const before = cursor === undefined ? undefined : readAuditCursor(cursor);
    const asked = { from: moment(from), to: moment(to), actor, subject, before, limit: limit + 1 };
    const found = await orUnavailable(() => actsBefore(this.#stores.db, asked));
    const shown = found.slice(0, limit);
    const last = found.length > limit ? shown.at(-1) : undefined;
    return {
      entries: shown.map(({ id: _, at, ...act }) => ({ at: new Date(at).toISOString(), ...act })),
      nextCursor: last ? writeAuditCursor(last) : null,
    };
  }
}
