import type { Knex } from 'knex';
import type { Act, NotedAct } from '../presence/acts.ts';
import { query } from './connect.ts';
import { hashOf } from './erased-ids.ts';
import { timestampOf } from './time.ts';
import { type Ask, inTransaction } from './transaction.ts';

/** SQL of what stands for an erased user's id: the same for every row, and of no use without the key. `#` is in no id. */
const pseudonymOf = (id: string) =>
  `'#' || translate(encode(substr(sha256(key || convert_to(${id}, 'UTF8')), 1, 18), 'base64'), '+/', '-_')`;

/** SQL that says whether somebody was erased lately and is not back. */
const isErased = (id: string) =>
  `(EXISTS (SELECT FROM erasures WHERE id_hash = ${hashOf(id)}) AND NOT EXISTS (SELECT FROM users WHERE id = ${id}))`;

/**
 * Notes acts, made at that moment (ms). Who was erased meanwhile is not named any more: the rows of users are held against an
 * erasure until the act is noted, so it is either before an erasure, which finds it, or behind.
 */
export async function noteActs(db: Knex, acts: readonly NotedAct[], at: number): Promise<void> {
  const named = [...new Set(acts.flatMap(({ actor, subject }) => [actor, subject ?? actor]))];
  await inTransaction(db, async (ask) => {
    await ask('SELECT FROM users WHERE id = ANY(?::text[]) ORDER BY id FOR SHARE', [named]);
    await ask(
      `INSERT INTO audit_log (at, actor, act, subject, detail)
       SELECT ${timestampOf('?::bigint')},
              CASE WHEN ${isErased('actor')} THEN ${pseudonymOf('actor')} ELSE actor END, act,
              CASE WHEN ${isErased('subject')} THEN ${pseudonymOf('subject')} ELSE subject END,
              CASE WHEN ${isErased('actor')} OR ${isErased('subject')} THEN NULL ELSE detail::jsonb END
         FROM audit_key CROSS JOIN unnest(?::text[], ?::text[], ?::text[], ?::text[])
              WITH ORDINALITY AS noted (actor, act, subject, detail, n)
        ORDER BY n`,
      [
        at,
        acts.map(({ actor }) => actor),
        acts.map(({ act }) => act),
        acts.map(({ subject }) => subject),
        acts.map(({ detail }) => (detail === null ? null : JSON.stringify(detail))),
      ],
    );
  });
}

/** Puts a keyed hash in the place of an erased user's id, whoever they were in an act, and drops what else was said of it. */
export async function eraseFromAudit(ask: Ask, userId: string): Promise<void> {
  await ask(
    `UPDATE audit_log SET
       actor = CASE WHEN actor = ? THEN ${pseudonymOf('actor')} ELSE actor END,
       subject = CASE WHEN subject = ? THEN ${pseudonymOf('subject')} ELSE subject END,
       detail = NULL
      FROM audit_key WHERE actor = ? OR subject = ?`,
    [userId, userId, userId, userId],
  );
}

/** Which acts are asked for; what is undefined bounds nothing. Moments in ms. */
export interface ActsAsked {
  from?: number | undefined;
  to?: number | undefined;
  actor?: string | undefined;
  subject?: string | undefined;
  /** The last one of the page before. */
  before?: { at: number; id: number } | undefined;
  limit: number;
}

/** An act as it was noted, with its place in the order of all. */
export interface AuditedAct {
  id: number;
  at: number;
  actor: string;
  act: Act;
  subject: string | null;
  detail: NotedAct['detail'];
}

/** The acts that fit, newest first. */
export async function actsBefore(db: Knex, asked: ActsAsked): Promise<AuditedAct[]> {
  const { from, to, actor, subject, before, limit } = asked;
  const bounds: [sql: string, ...values: (string | number | undefined)[]][] = [
    [`at >= ${timestampOf('?::bigint')}`, from],
    [`at < ${timestampOf('?::bigint')}`, to],
    ['actor = ?', actor],
    ['subject = ?', subject],
    [`(at, id) < (${timestampOf('?::bigint')}, ?::bigint)`, before?.at, before?.id],
  ];
  const given = bounds.filter(([, value]) => value !== undefined);
  const rows = await query<Omit<AuditedAct, 'id' | 'at'> & { id: string; at: Date }>(
    db,
    `SELECT id, at, actor, act, subject, detail FROM audit_log
      WHERE ${['true', ...given.map(([sql]) => sql)].join(' AND ')} ORDER BY at DESC, id DESC LIMIT ?`,
    [...given.flatMap(([, ...values]) => values as (string | number)[]), limit],
  );
  return rows.map(({ id, at, ...row }) => ({ id: Number(id), at: at.getTime(), ...row }));
}

/** Drops acts that are older, at most `limit` of them; returns how many. */
export async function dropActs(db: Knex, olderThanDays: number, limit: number): Promise<number> {
  const gone = await query(
    db,
    `DELETE FROM audit_log WHERE id IN (
       SELECT id FROM audit_log WHERE at < now() - ?::int * interval '24 hours' ORDER BY at, id LIMIT ?)
     RETURNING 1`,
    [olderThanDays, limit],
  );
  return gone.length;
}
