import type { Knex } from 'knex';
import { query } from './connect.ts';
import { timestampOf } from './time.ts';

/** A room became occupied, or was vacated; the version of the room says when (ms). */
export interface RoomTold {
  roomId: string;
  occupied: boolean;
  version: number;
}

/** Nobody says again what is older than this. */
const VACATED_KEPT_MS = 86_400_000;

/**
 * Has the change feed tell of rooms, each change once: what was told already, is older than that, or was never different (Redis had lost
 * that somebody was there) tells nothing.
 */
export async function recordRooms(db: Knex, told: readonly RoomTold[]): Promise<void> {
  const rounds: RoomTold[][] = [];
  for (const some of Map.groupBy(told, ({ roomId }) => roomId).values()) {
    for (const [n, one] of some.entries()) {
      const round = rounds[n] ?? [];
      round.push(one);
      rounds[n] = round;
    }
  }
  // One statement changes a row once.
  for (const round of rounds) {
    await query(db, RECORD, [
      round.map(({ roomId }) => roomId),
      round.map(({ occupied }) => (occupied ? 1 : 0)),
      round.map(({ version }) => version),
    ]);
  }
}

const RECORD = `
  WITH news AS (
    INSERT INTO rooms_told AS known (room_id, occupied, version)
    SELECT room_id, occupied = 1, version FROM unnest(?::text[], ?::int[], ?::bigint[]) AS said (room_id, occupied, version)
     ORDER BY room_id
    ON CONFLICT (room_id) DO UPDATE SET occupied = excluded.occupied, version = excluded.version
     WHERE excluded.version > known.version AND excluded.occupied <> known.occupied
    RETURNING room_id, occupied, version
  )
  INSERT INTO changes_arriving (user_id, version, at, status, cause, last_seen, room_id)
  SELECT '', version, ${timestampOf('version')}, CASE WHEN occupied THEN 'active' ELSE 'inactive' END, 'room', NULL, room_id
    FROM news ORDER BY version`;

/** Some of the rooms that were told of as occupied last, in the order of their ids and behind `after` ('' from the beginning). */
export async function roomsToldOccupied(db: Knex, after: string, limit: number): Promise<string[]> {
  const rows = await query<{ room_id: string }>(
    db,
    'SELECT room_id FROM rooms_told WHERE occupied AND room_id > ? ORDER BY room_id LIMIT ?',
    [after, limit],
  );
  return rows.map(({ room_id }) => room_id);
}

/** Forgets rooms that were vacated so long ago that nobody says it again; returns how many. */
export async function dropVacatedRooms(db: Knex, limit: number): Promise<number> {
  const dropped = await query(
    db,
    `DELETE FROM rooms_told WHERE room_id = ANY (ARRAY(
       SELECT room_id FROM rooms_told
        WHERE NOT occupied AND version < extract(epoch FROM now()) * 1000 - ?::bigint LIMIT ?)) AND NOT occupied RETURNING 1`,
    [VACATED_KEPT_MS, limit],
  );
  return dropped.length;
}
