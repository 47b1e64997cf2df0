/** What processes say of themselves, as the console is told it. */
export type { ProcessFigures, WebFigures, WorkerFigures } from '../protocol/console.ts';

/** For how many minutes a process remembers what it says of itself, the one under way among them. */
export const LATELY_MINUTES = 15;
/** Who is settled so long (ms) after their deadline was settled too late. */
export const LATE_MS = 2000;
