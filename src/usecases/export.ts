import { RollcallError } from '../errors.ts';
import { isKept, type KeptList, keptOf } from '../postgres/export.ts';
import { transitionsBefore } from '../postgres/history.ts';
import { loadStoredUsers } from '../postgres/users.ts';
import { EXPORTED, type ExportedList } from '../protocol/export.ts';
import { shardOf } from '../redis/keys.ts';
import type { SharedLimits } from '../redis/limits.ts';
import type { Stores } from '../stores.ts';
import { AuditLog } from './audit.ts';
import { iso, isoOrNull } from './payloads.ts';
import type { StatusApi } from './presence-api.ts';
import type { Rooms } from './rooms.ts';
import { orUnavailable } from './unavailable.ts';

/** One in this time for a user, whoever asks. */
const EVERY_MS = 60_000;
/** Transitions that are in memory at once. */
const PAGE = 2000;

/** What the doors ask for. */
export interface ExportApi {
  /**
   * All that is kept about a user, as the pieces of one JSON document; each is read when it is asked for. `by`: the service that
   * asks, for the audit; null: the user. Throws USER_NOT_FOUND, RATE_LIMITED or UNAVAILABLE before the first piece; a store that
   * goes away later breaks the document off.
   */
  document(userId: string, by: string | null): Promise<AsyncIterable<string>>;
}

type Reads = Pick<StatusApi, 'status' | 'sessions'>;
type Pages = AsyncIterable<readonly object[]>;

/** Exports of users: what is kept about them, without what is others' own (who blocks them, who asked for alerts of them). */
export class Exports implements ExportApi {
  readonly #stores: Pick<Stores, 'db' | 'queues'>;
  readonly #reads: Reads;
  readonly #rooms: Pick<Rooms, 'whereAre'>;
  readonly #limits: Pick<SharedLimits, 'reserve'>;
  readonly #audit: AuditLog;

  constructor(
    stores: Pick<Stores, 'db' | 'queues'>,
    reads: Reads,
    rooms: Pick<Rooms, 'whereAre'>,
    limits: Pick<SharedLimits, 'reserve'>,
  ) {
    this.#stores = stores;
    this.#reads = reads;
    this.#rooms = rooms;
    this.#limits = limits;
    this.#audit = new AuditLog(stores);
  }

  async document(userId: string, by: string | null): Promise<AsyncIterable<string>> {
    const present = await this.#present(userId);
    await this.#oneInATime(userId);
    if (by !== null) await this.#audit.note({ actor: by, act: 'export', subject: userId, detail: null });
    return piecesOf(userId, (list) => this.#pages(userId, list, present));
  }

  /** What Redis knows of the user now. Throws USER_NOT_FOUND where neither store has heard of them. */
  async #present(userId: string): Promise<Present> {
    const kept = await orUnavailable(() => isKept(this.#stores.db, userId));
    try {
      const { status, lastSeen } = await this.#reads.status(null, userId);
      return {
        presence: [{ status, lastSeen }],
        sessions: await this.#reads.sessions(userId),
        rooms: await this.#whereIs(userId),
      };
    } catch (error) {
      const isUnknown = error instanceof RollcallError && error.code === 'USER_NOT_FOUND';
      if (kept && isUnknown) return { presence: [], sessions: [], rooms: [] };
      throw error;
    }
  }

  async #whereIs(userId: string): Promise<readonly object[]> {
    const rooms = (await this.#rooms.whereAre(shardOf(userId), [userId])).get(userId) ?? [];
    return rooms.map(({ roomId, since, sessions }) => ({
      roomId,
      since: iso(since),
      sessions: sessions.map(({ sessionId, data }) => ({ sessionId, data: data === '' ? null : JSON.parse(data) })),
    }));
  }

  async #oneInATime(userId: string): Promise<void> {
    const { total, leftMs } = await orUnavailable(() => this.#limits.reserve('export', userId, 1, EVERY_MS));
    if (total === 1) return;
    const message = 'This user was exported less than a minute ago.';
    throw new RollcallError('RATE_LIMITED', { message, retryAfterMs: Math.max(1, leftMs) });
  }

  #pages(userId: string, list: ExportedList, present: Present): Pages {
    if (list === 'presence' || list === 'sessions' || list === 'rooms') return onePage(present[list]);
    if (list === 'transitions') return this.#transitions(userId);
    if (list === 'details') return this.#details(userId);
    return keptOf(this.#stores.db, userId, list satisfies KeptList);
  }

  async *#details(userId: string): Pages {
    const said = (await loadStoredUsers(this.#stores.db, [userId])).get(userId)?.sources ?? [];
    const inForce = said.filter(({ remainingMs }) => remainingMs === null || remainingMs > 0);
    yield inForce.map(({ source, detail, remainingMs }) => ({
      source,
      ...detail,
      until: remainingMs === null ? null : iso(Date.now() + remainingMs),
    }));
  }

  async *#transitions(userId: string): Pages {
    for (let version: number | null = null; ; ) {
      const stretch = { from: null, to: null, version, limit: PAGE };
      const found = await transitionsBefore(this.#stores.db, userId, stretch);
      yield found.map(({ at, lastSeen, ...rest }) => ({ at: iso(at), lastSeen: isoOrNull(lastSeen), ...rest }));
      version = found.at(-1)?.version ?? null;
      if (found.length < PAGE || version === null) return;
    }
  }
}

/** What is not in PostgreSQL. */
interface Present {
  presence: readonly object[];
  sessions: readonly object[];
  rooms: readonly object[];
}

async function* onePage(entries: readonly object[]): Pages {
  yield entries;
}

async function* piecesOf(userId: string, pagesOf: (list: ExportedList) => Pages): AsyncGenerator<string> {
  yield `{"userId":${JSON.stringify(userId)},"exportedAt":${JSON.stringify(iso(Date.now()))}`;
  for (const list of Object.keys(EXPORTED) as ExportedList[]) {
    yield `,\n${JSON.stringify(list)}:[`;
    let isFirst = true;
    for await (const page of pagesOf(list)) {
      if (page.length === 0) continue;
      yield `${isFirst ? '' : ','}\n${page.map((entry) => JSON.stringify(entry)).join(',\n')}`;
      isFirst = false;
    }
    yield ']';
  }
  yield '}\n';
}
