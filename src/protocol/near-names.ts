/** As much of a name as is worth repeating to whoever sent it. */
const LONGEST_TOLD = 40;

/** Tells of a name that is not known, as it may be said to whoever sent it, and of the known one that was meant. */
export function unknownName(name: string, known: readonly string[]): string {
  const told = `${JSON.stringify(name.slice(0, LONGEST_TOLD))} is not known here`;
  const meant = nearestName(name, known);
  if (meant !== null) return `${told}; did you mean "${meant}"?`;
  return known.length === 0 ? told : `${told}; known are ${known.join(', ')}`;
}

/**
 * The known name that somebody who wrote `name` most likely meant: `expiresIn` and `expires_in_seconds` are
 * `expiresInSeconds`. Null where none is near.
 */
export function nearestName(name: string, known: readonly string[]): string | null {
  const written = plain(name.slice(0, LONGEST_TOLD));
  let nearest: string | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const distance = distanceOf(written, plain(candidate));
    if (distance < least) [nearest, least] = [candidate, distance];
  }
  return nearest;
}

/** Capitals and separators are a matter of taste among languages. */
function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
}

const SHORTEST_BEGINNING = 3;

/** Infinite for what has nothing to do with the other. */
function distanceOf(written: string, known: string): number {
  const shorter = Math.min(written.length, known.length);
  if (shorter >= SHORTEST_BEGINNING && (written.startsWith(known) || known.startsWith(written))) return 1;
  const edits = editsBetween(written, known);
  return edits <= Math.max(1, Math.floor(Math.max(written.length, known.length) / 3)) && edits < shorter
    ? edits
    : Number.POSITIVE_INFINITY;
}

/** How many letters have to be put in, taken out, changed or swapped with their neighbour (optimal string alignment). */
function editsBetween(a: string, b: string): number {
  let [before, last] = [[] as number[], Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? (before[j - 2] ?? 0) + 1 : changed;
      row.push(Math.min(changed, swapped, (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    [before, last] = [last, row];
  }
  return last[b.length] ?? 0;
}
