import { compareIds } from '../../redis/delivery.ts';

/** Of whom something was told since a bulk reading began, and up to where: user → id of an outbox entry. */
export type Reading = Map<string, string>;

/**
 * The bulk readings of what is true that are under way. Two can overlap, and the one that looked first may have its answer last:
 * whom an event, or the other one, has told of meanwhile it must not tell of any more.
 */
export class Readings {
  readonly #open = new Set<Reading>();

  /** Begins one. Call it before anything is read. */
  begin(): Reading {
    const reading: Reading = new Map();
    this.#open.add(reading);
    return reading;
  }

  /** It is told, or given up. */
  end(reading: Reading): void {
    this.#open.delete(reading);
  }

  /** Everything up to this entry of the outbox is told of the user. */
  note(userId: string, id: string): void {
    for (const reading of this.#open) {
      if (compareIds(id, reading.get(userId) ?? '0-0') > 0) reading.set(userId, id);
    }
  }
}

/** Whether what was read of the user, as of this entry of the outbox, is older than what was told since. */
export function isOvertaken(reading: Reading, userId: string, id: string): boolean {
  return compareIds(reading.get(userId) ?? '0-0', id) > 0;
}
