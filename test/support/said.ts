import type { Detail } from '../../src/presence/change.ts';
import { MANUAL } from '../../src/presence/detail.ts';

let revision = 0;

/** All that is said of a user, where it is the user alone who says something; newer than what was said before. */
export function manual(detail: Detail, remainingMs: number | null = null) {
  revision++;
  return { revision, sources: [{ source: MANUAL, detail, remainingMs }] };
}
