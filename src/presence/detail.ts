import type { StoredSource } from './change.ts';
import { isValidId } from './ids.ts';

/** The user's own source of a detail. */
export const MANUAL = 'manual';

/** Whose word counts where several say something, the strongest first, unless DETAIL_ORDER says otherwise. */
export const DEFAULT_DETAIL_ORDER: readonly string[] = ['call', MANUAL, 'calendar'];

/** How many sources of one user are in force at most. */
export const MAX_DETAIL_SOURCES = 16;

/** How long (characters) the name of a source is at most. */
export const SOURCE_LENGTH = 32;

/** Whether a text can name a source. */
export function isValidSource(text: string): boolean {
  return isValidId(text) && text.length <= SOURCE_LENGTH;
}

/** Sources with the strongest first: as `order` names them, then those that it does not name, by name. */
export function strongestFirst<Said extends { source: string }>(
  sources: readonly Said[],
  order: readonly string[],
): Said[] {
  const rank = ({ source }: Said) => (order.includes(source) ? order.indexOf(source) : order.length);
  return sources.toSorted((a, b) => rank(a) - rank(b) || (a.source < b.source ? -1 : a.source > b.source ? 1 : 0));
}

/** The strongest of sources that are in this order and not over; undefined where nobody says anything. */
export function strongest(sources: readonly StoredSource[]): StoredSource | undefined {
  return sources.find(isInForce);
}

/** Whether any source in force says that the user wants to be left alone. */
export function isDnd(sources: readonly StoredSource[]): boolean {
  return sources.some((said) => isInForce(said) && said.detail.availability === 'dnd');
}

function isInForce({ remainingMs }: StoredSource): boolean {
  return remainingMs === null || remainingMs > 0;
}
