/** Runs what it is given one after the other, whatever became of the one before. */
export type InOrder = <T>(work: () => Promise<T>) => Promise<T>;

/** Makes an order in which everything waits for what was given before it. Each rejects with what its own work rejects with. */
export function inOrder(): InOrder {
  let last: Promise<unknown> = Promise.resolve();
  return <T>(work: () => Promise<T>): Promise<T> => {
    const next = last.then(work);
    last = ended(next);
    return next;
  };
}

/** What a connection says of rooms. */
export interface RoomsInOrder {
  /**
   * Comes to a room or leaves it, beside others of which that was said: who opens a page with many waits for one, and Redis is asked for
   * all of them together, in the order in which they were said.
   */
  beside<T>(roomId: string, work: () => Promise<T>): Promise<T>;
  /** Behind all that was said before, and before all that is said after it. */
  alone: InOrder;
}

/** Makes the order of one connection. Each rejects with what its own work rejects with. */
export function roomsInOrder(): RoomsInOrder {
  const alone = inOrder();
  let abreast = new Map<string, Promise<unknown>>();
  let before: Promise<unknown> = Promise.resolve();
  const behindThem = () => {
    const all = [...abreast.values()];
    abreast = new Map();
    return alone(() => Promise.all(all));
  };
  return {
    beside(roomId, work) {
      // What is said of one room is done one after the other.
      if (abreast.has(roomId)) before = behindThem();
      const next = before.then(work);
      const done = ended(next);
      abreast.set(roomId, done);
      // Who names ever other rooms leaves nothing behind.
      void done.then(() => {
        if (abreast.get(roomId) === done) abreast.delete(roomId);
      });
      return next;
    },
    alone(work) {
      if (abreast.size > 0) void behindThem();
      const next = alone(work);
      before = ended(next);
      return next;
    },
  };
}

/** Resolves once that has ended, however it did, and keeps nothing of it: a picture of a room is large. */
function ended(work: Promise<unknown>): Promise<void> {
  return work.then(
    () => {},
    () => {},
  );
}
