import { setTimeout as pause } from 'node:timers/promises';
import type { Config } from '../src/config.ts';
import { dropChangesOfFeed } from '../src/postgres/change-feed.ts';
import { dropMinutes, dropTransitions } from '../src/postgres/retention.ts';
import type { Services } from '../src/services.ts';

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

/** Drops what is older than it is to be kept. */
export async function dropOld({ db }: Services, { historyRetentionDays }: Pick<Config, 'historyRetentionDays'>) {
  const timelineDays = Math.max(TIMELINE_DAYS, historyRetentionDays);
  const transitions = await inPortions((limit) => dropTransitions(db, historyRetentionDays, limit));
  const minutes = await inPortions((limit) => dropMinutes(db, timelineDays, limit));
  const feed = { days: Math.min(FEED_DAYS, historyRetentionDays), rows: FEED_ROWS };
  const changes = await inPortions((limit) => dropChangesOfFeed(db, feed, limit));
  return { transitions, minutes, changes };
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
