/** When somebody was last seen (ms). */
export interface Sighting {
  userId: string;
  lastSeen: number;
}

/** Where a walk from the newest to the oldest stands: at this user, who need not be there any more. */
export type Place = Sighting;

/** The next `count` of a shard from the place after `from` on; fewer only where there are no more. */
export type Fetch = (shard: number, from: Place | null, count: number) => Promise<Sighting[]>;

interface Source {
  shard: number;
  from: Place | null;
  waiting: Sighting[];
  next: number;
  exhausted: boolean;
}

/** Newest first; of those seen in the same millisecond the greater id first. Ids are ASCII, so this is Redis's order. */
function isBefore(a: Sighting, b: Sighting): boolean {
  return a.lastSeen === b.lastSeen ? a.userId > b.userId : a.lastSeen > b.lastSeen;
}

/**
 * The `count` users who were seen last, over all shards, behind the place `after`. Users are spread evenly, so each
 * shard is asked for its share and a little more, and again only where that was not enough: what is read is about what
 * is answered, however many there are.
 */
export async function mergeNewest(
  shards: readonly number[],
  fetch: Fetch,
  after: Place | null,
  count: number,
): Promise<Sighting[]> {
  const share = count / shards.length;
  const portion = Math.min(count, Math.ceil(share + 2 * Math.sqrt(share)) + 1);
  const sources: Source[] = shards.map((shard) => ({ shard, from: after, waiting: [], next: 0, exhausted: false }));
  const refill = async (source: Source) => {
    source.waiting = await fetch(source.shard, source.from, portion);
    source.next = 0;
    source.from = source.waiting.at(-1) ?? source.from;
    source.exhausted = source.waiting.length < portion;
  };
  const merged: Sighting[] = [];
  await Promise.all(sources.map(refill));
  while (merged.length < count) {
    let newest: { source: Source; head: Sighting } | null = null;
    for (const source of sources) {
      const head = source.waiting[source.next];
      if (head && (newest === null || isBefore(head, newest.head))) newest = { source, head };
    }
    if (newest === null) break;
    merged.push(newest.head);
    const { source } = newest;
    source.next++;
    // Only with the next of every shard at hand it is known who comes next.
    if (source.next === source.waiting.length && !source.exhausted && merged.length < count) await refill(source);
  }
  return merged;
}
