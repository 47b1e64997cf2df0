import { setTimeout as pause } from 'node:timers/promises';
import type { Config } from '../src/config/config.ts';
import { receiverOf } from '../src/config/webhook-settings.ts';
import { dropActs } from '../src/postgres/audit.ts';
import { dropChangesOfFeed } from '../src/postgres/change-feed.ts';
import { dropErasures } from '../src/postgres/erasure.ts';
import { isBusy, isUnpermitted } from '../src/postgres/errors.ts';
import { dropPartitions, makePartitions } from '../src/postgres/partitions.ts';
import { dropMinutes, dropTransitions } from '../src/postgres/retention.ts';
import { dropVacatedRooms } from '../src/postgres/rooms-told.ts';
import { postgresNow } from '../src/postgres/time.ts';
import { dropReceivers } from '../src/postgres/webhooks.ts';
import type { Stores } from '../src/stores.ts';

const ROWS_AT_ONCE = 5000;
/** At one run in ten minutes some fourteen million rows a day; what is left waits for the next. */
const STATEMENTS_A_RUN = 20;
/** Room for what waits in the database meanwhile. */
const PAUSE_MS = 200;
/** A reader that stayed away for longer does better with a snapshot. */
const FEED_DAYS = 7;
const FEED_ROWS = 10_000_000;
/** The timeline is small and names nobody: it stays for more than a year, to compare with. */
const TIMELINE_DAYS = 400;

type Retention = Pick<Config, 'historyRetentionDays'>;

/** Keeps partitions ready for the history of the next days. */
export function preparePartitions(stores: Stores, { historyRetentionDays }: Retention) {
  return onPartitions(async () => ({
    made: await makePartitions(stores.db, historyRetentionDays, await earlierClock(stores)),
  }));
}

/** Drops what is older than it is to be kept: partitions as a whole, and what is left row by row. */
export async function dropOld(
  stores: Stores,
  { historyRetentionDays, webhooks }: Retention & Pick<Config, 'webhooks'>,
) {
  const { db } = stores;
  const timelineDays = Math.max(TIMELINE_DAYS, historyRetentionDays);
  const partitions = await onPartitions(async () => ({
    dropped: await dropPartitions(db, historyRetentionDays, await earlierClock(stores)),
  }));
  const transitions = await inPortions((limit) => dropTransitions(db, historyRetentionDays, limit));
  const minutes = await inPortions((limit) => dropMinutes(db, timelineDays, limit));
  const feed = { days: Math.min(FEED_DAYS, historyRetentionDays), rows: FEED_ROWS };
  const changes = await inPortions((limit) => dropChangesOfFeed(db, feed, limit));
  const acts = await inPortions((limit) => dropActs(db, historyRetentionDays, limit));
  const rooms = await inPortions((limit) => dropVacatedRooms(db, limit));
  const receivers = await dropReceivers(db, webhooks.map(receiverOf), feed.days);
  await dropErasures(db);
  return { partitions, transitions, minutes, changes, acts, rooms, receivers };
}

/** History goes by days at a time: one clock that is wrong must not be enough for that. */
async function earlierClock({ seen, db }: Stores): Promise<number> {
  const [{ now }, postgres] = await Promise.all([seen.state(), postgresNow(db)]);
  return Math.min(now, postgres);
}

/** Whoever may not make tables goes on without: all of it lands in the default partition and leaves it row by row. */
async function onPartitions<T>(work: () => Promise<T>) {
  try {
    return await work();
  } catch (error) {
    if (isBusy(error)) return { waiting: 'the table of the history is in use' };
    if (isUnpermitted(error)) return { refused: 'the database user does not own the table of the history' };
    throw error;
  }
}

async function inPortions(drop: (limit: number) => Promise<number>): Promise<number> {
  let total = 0;
  for (let statement = 0; statement < STATEMENTS_A_RUN; statement++) {
    if (statement > 0) await pause(PAUSE_MS);
    const dropped = await drop(ROWS_AT_ONCE);
    total += dropped;
    if (dropped < ROWS_AT_ONCE) break;
  }
  return total;
}
