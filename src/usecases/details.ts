import { RollcallError } from '../errors.ts';
import {
  type DetailSources,
  detailSourcesOf,
  endDetailSource,
  type SourceEnd,
  saveDetailSource,
} from '../postgres/detail-sources.ts';
import { isConnectionError } from '../postgres/errors.ts';
import { DETAIL_FIELDS, type Detail } from '../presence/change.ts';
import { MANUAL } from '../presence/detail.ts';
import type { SetDetailRequest } from '../protocol/client-events.ts';
import { type DetailSource, momentMs, type PutDetailBody } from '../protocol/detail.ts';
import type { FollowUps } from '../queues/follow-ups.ts';
import type { Stores } from '../stores.ts';
import { AuditLog } from './audit.ts';
import { isoOrNull } from './payloads.ts';
import type { DetailApi } from './presence-api.ts';
import type { StoredUsers } from './stored-users.ts';
import { orUnavailable, postgresUnavailable } from './unavailable.ts';

/** What others see of users beside the status, from several sources of which the strongest is shown. */
export class Details implements DetailApi {
  readonly #stores: Stores;
  readonly #storedUsers: StoredUsers;
  readonly #followUps: FollowUps;
  readonly #audit: AuditLog;

  /** `storedUsers` and `followUps` are those of the process. */
  constructor(stores: Stores, storedUsers: StoredUsers, followUps: FollowUps) {
    this.#stores = stores;
    this.#storedUsers = storedUsers;
    this.#followUps = followUps;
    this.#audit = new AuditLog(stores);
  }

  /**
   * Sets what the user's own source says, all of it anew; with nothing in it: nothing any more. Returns what it says by now.
   * `restore` brings the caller's session back where Redis has lost it: nobody is to be told that they left. Throws UNAVAILABLE.
   */
  async say(userId: string, request: SetDetailRequest, restore: () => Promise<void>): Promise<Detail> {
    const detail = saidIn(request);
    if (Object.keys(detail).length === 0) await this.#end(userId, MANUAL, restore);
    else await this.#save(userId, { source: MANUAL, detail }, { lastsMs: lastsMs(request.expiresInSeconds) }, restore);
    return detail;
  }

  async put(userId: string, source: string, body: PutDetailBody): Promise<DetailSource> {
    const { until, expiresInSeconds } = body;
    const end = until === undefined ? { lastsMs: lastsMs(expiresInSeconds) } : { untilMs: momentMs(until) };
    const { sources } = await this.#save(userId, { source, detail: saidIn(body) }, end);
    const saved = viewsOf(sources).find((view) => view.source === source);
    // It was over by the time it was stored.
    if (!saved) throw new RollcallError('INVALID_REQUEST', { message: 'until: In the future' });
    return saved;
  }

  async end(userId: string, source: string, by: string | null): Promise<void> {
    const ended = await this.#end(userId, source);
    if (!ended || by === null) return;
    await this.#audit.note({ actor: by, act: 'source_removed', subject: userId, detail: { source } });
  }

  async list(userId: string): Promise<DetailSource[]> {
    const { db, detailOrder } = this.#stores;
    try {
      const found = await detailSourcesOf(db, [userId], detailOrder);
      return viewsOf(found.get(userId)?.sources ?? []);
    } catch (error) {
      if (!isConnectionError(error)) throw error;
    }
    const { record, now, followUp } = await orUnavailable(() => this.#stores.store.inspect(userId));
    this.#followUps.add(followUp);
    if (!record || record.choiceUnknown) throw postgresUnavailable();
    return viewsOf(record.sources.filter(({ until }) => until === null || until > now));
  }

  async #save(
    userId: string,
    said: { source: string; detail: Detail },
    end: SourceEnd,
    restore?: () => Promise<void>,
  ): Promise<DetailSources> {
    const { db, detailOrder } = this.#stores;
    return orUnavailable(async () => {
      const saved = await saveDetailSource(db, userId, said, end, detailOrder);
      if (saved === null) throw new RollcallError('TOO_MANY_SOURCES');
      await this.#tell(userId, saved, restore);
      return saved;
    });
  }

  /** Whether it said something until now. */
  #end(userId: string, source: string, restore?: () => Promise<void>): Promise<boolean> {
    const { db, detailOrder } = this.#stores;
    return orUnavailable(async () => {
      const left = await endDetailSource(db, userId, source, detailOrder);
      if (left !== null) await this.#tell(userId, left, restore);
      return left?.ended ?? false;
    });
  }

  /** Tells Redis what PostgreSQL has by now, and Redis others. */
  async #tell(userId: string, sources: DetailSources, restore?: () => Promise<void>): Promise<void> {
    const { store } = this.#stores;
    let set = await store.setDetail(userId, sources, null);
    if (set.code === 'stored') {
      await restore?.();
      const stored = await this.#storedUsers.stored(userId);
      if (stored === 'away') throw postgresUnavailable();
      set = await store.setDetail(userId, sources, stored);
    }
    this.#followUps.add(set.followUp);
  }
}

function saidIn(request: Detail): Detail {
  const said = DETAIL_FIELDS.filter((field) => request[field]);
  return Object.fromEntries(said.map((field) => [field, request[field]]));
}

/** A fraction of a millisecond still is a time. */
function lastsMs(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : Math.max(1, Math.round(seconds * 1000));
}

function viewsOf(sources: readonly { source: string; detail: Detail; until: number | null }[]): DetailSource[] {
  return sources.map(({ source, detail: { availability, text, emoji }, until }, n) => ({
    source,
    availability: availability ?? null,
    text: text ?? null,
    emoji: emoji ?? null,
    until: isoOrNull(until),
    shown: n === 0,
  }));
}
