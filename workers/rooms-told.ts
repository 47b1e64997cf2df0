import { recordRooms, roomsToldOccupied } from '../src/postgres/rooms-told.ts';
import type { Stores } from '../src/stores.ts';

const AT_ONCE = 500;

/**
 * Tells the change feed of rooms that were left while Redis had forgotten that anybody was there: after a loss who is still there has come
 * back by now. Returns of how many. Rejects where a store is away.
 */
export async function vacateForgotten({
  db,
  roomLists,
  clock,
}: Pick<Stores, 'db' | 'roomLists' | 'clock'>): Promise<number> {
  let count = 0;
  for (let page = await roomsToldOccupied(db, '', AT_ONCE); page.length > 0; ) {
    const forgotten = await roomLists.forgotten(page);
    const version = Math.round(clock.now() || Date.now());
    await recordRooms(
      db,
      forgotten.map((roomId) => ({ roomId, occupied: false, version })),
    );
    count += forgotten.length;
    page = await roomsToldOccupied(db, page.at(-1) ?? '', AT_ONCE);
  }
  return count;
}
