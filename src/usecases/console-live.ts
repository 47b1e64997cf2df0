import type { Config } from '../config/config.ts';
import { flapsSince } from '../postgres/flapping.ts';
import type { LiveAnswer } from '../protocol/console.ts';
import type { Stores } from '../stores.ts';
import { keptFor } from '../telemetry/metrics.ts';
import { LATE_MS, LATELY_MINUTES } from '../telemetry/process-figures.ts';
import type { Analytics } from './analytics.ts';
import type { LookBudget } from './looks.ts';
import { iso } from './payloads.ts';
import { readProgress } from './progress.ts';
import type { Rooms } from './rooms.ts';
import { readStoreFigures } from './store-figures.ts';
import { wrongsOf } from './wrongs.ts';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const WINDOWS = [5, 60, 1440];
/** How many of each list are shown. */
const SHOWN = 10;
/** However many look, each question is asked once within so long (ms). */
const KEPT_MS = { now: 1000, soon: 2000, past: 5000, history: 10_000 };
/** Before it not every process has heard that somebody looks. */
const ALL_TOLD_MS = 4000;
/** Who has not looked for so long begins anew. */
const LOOKS_AGAIN_MS = 5000;

/** All that the console tells of this moment, whoever looks. */
export type LiveFigures = Omit<LiveAnswer, 'operator' | 'writable'>;

/**
 * What goes on at this moment, for operators. Nothing of it is found out while nobody looks, and for as long as somebody does each
 * question is asked once a second at most, however many they are.
 */
export class ConsoleLive {
  readonly #answer: () => Promise<LiveFigures | undefined>;
  #since = 0;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(
    stores: Stores,
    { analytics, rooms, looks }: { analytics: Analytics; rooms: Rooms; looks: LookBudget },
    config: Pick<Config, 'ttlMs' | 'handoverMs' | 'maxLooksPerUserPerDay'>,
  ) {
    const overdue = keptFor(KEPT_MS.now, () => stores.deadlines.overdue(LATE_MS, SHOWN));
    const active = keptFor(KEPT_MS.now, () => analytics.active(WINDOWS));
    const processes = keptFor(KEPT_MS.now, () => stores.processes.look());
    const store = keptFor(KEPT_MS.soon, () => readStoreFigures(stores));
    const fullest = keptFor(KEPT_MS.soon, () => rooms.fullest(SHOWN));
    const looking = keptFor(KEPT_MS.soon, () => looks.mostLooking(SHOWN));
    const progress = keptFor(KEPT_MS.soon, () => readProgress(stores, config));
    const minutes = keptFor(KEPT_MS.past, () => {
      const to = Date.now();
      const from = Math.floor((to - HOUR_MS) / MINUTE_MS) * MINUTE_MS + MINUTE_MS;
      return analytics.timeline({ from, to }, MINUTE_MS);
    });
    const flaps = keptFor(KEPT_MS.history, () => flapsSince(stores.db, Date.now() - HOUR_MS, SHOWN));
    this.#answer = keptFor(KEPT_MS.now, async () => {
      const [now, reasons, found] = await Promise.all([
        Date.now(),
        stores.readiness.reasons(),
        Promise.all([overdue(), active(), processes(), store(), fullest(), looking(), progress(), minutes(), flaps()]),
      ]);
      const [due, counted, told, figures, full, most, underWay, line, flapped] = found;
      const seen = {
        processes: told ?? null,
        overdue: due ?? null,
        flaps: flapped ? viewOf(flapped) : null,
      };
      const allTold = performance.now() - this.#since > ALL_TOLD_MS;
      return {
        at: iso(now),
        wrong: wrongsOf({ reasons, store: figures ?? null, allTold, ...seen }),
        progress: underWay ?? [],
        active: counted ? { now: counted.activeNow, within: counted.within } : null,
        minutes: line?.points ?? null,
        latelyMinutes: LATELY_MINUTES,
        looks: most ? { most: config.maxLooksPerUserPerDay, users: most } : null,
        rooms: full ?? null,
        ...seen,
      };
    });
  }

  /** What goes on at this moment; undefined where not even that could be found out in time. */
  look(): Promise<LiveFigures | undefined> {
    const now = performance.now();
    if (now - this.#lookedAt > LOOKS_AGAIN_MS) this.#since = now;
    this.#lookedAt = now;
    return this.#answer();
  }
}

function viewOf({ since, counts, newest }: Awaited<ReturnType<typeof flapsSince>>): NonNullable<LiveAnswer['flaps']> {
  return { since: iso(since), counts, newest: newest.map(({ at, ...flap }) => ({ at: iso(at), ...flap })) };
}
