/** Time that stands still until it is told to go on, and what is to happen at some moments of it. */
export function createFakeClock(startMs: number) {
  let nowMs = startMs;
  const alarms = new Set<{ atMs: number; ring: () => void }>();

  /** The one that is due first, of those that are due until then. */
  function nextUntil(endMs: number) {
    let next: { atMs: number; ring: () => void } | undefined;
    for (const alarm of alarms) {
      if (alarm.atMs <= endMs && (next === undefined || alarm.atMs < next.atMs)) next = alarm;
    }
    return next;
  }

  return {
    now: () => nowMs,
    /** Has something happen after so long; the returned function calls it off. */
    after(ms: number, ring: () => void): () => void {
      const alarm = { atMs: nowMs + ms, ring };
      alarms.add(alarm);
      return () => void alarms.delete(alarm);
    },
    /** Lets so much time pass: everything due meanwhile happens in its order, each at its own moment. */
    advance(ms: number): void {
      if (!(ms >= 0)) throw new RangeError(`Time goes forward: advance(${ms})`);
      const endMs = nowMs + ms;
      for (let next = nextUntil(endMs); next; next = nextUntil(endMs)) {
        alarms.delete(next);
        nowMs = next.atMs;
        next.ring();
      }
      nowMs = endMs;
    },
  };
}
