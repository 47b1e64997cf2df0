import { compareIds } from '../../redis/delivery.ts';

/** What was told of users since a bulk reading began. */
export interface Reading {
  /** To all who are to hear of them: user → up to which entry of the outbox. */
  readonly told: Map<string, string>;
  /** To some, by a picture: user → version. */
  readonly shown: Map<string, number>;
}

/**
 * The bulk readings of what is true that are under way. Two can overlap, and the one that looked first may have its answer last:
 * of whom an event, the other one or a picture has told meanwhile, it must not tell what is older.
 */
export class Readings {
  readonly #open = new Set<Reading>();

  /** Begins one. Call it before anything is read. */
  begin(): Reading {
    const reading: Reading = { told: new Map(), shown: new Map() };
    this.#open.add(reading);
    return reading;
  }

  /** It is told, or given up. */
  end(reading: Reading): void {
    this.#open.delete(reading);
  }

  /** Everything up to this entry of the outbox is told of the user, to all. */
  told(userId: string, id: string): void {
    for (const { told } of this.#open) {
      if (compareIds(id, told.get(userId) ?? '0-0') > 0) told.set(userId, id);
    }
  }

  /** A picture showed the user with this version. */
  shown(userId: string, version: number): void {
    for (const { shown } of this.#open) if (version > (shown.get(userId) ?? 0)) shown.set(userId, version);
  }
}

/**
 * What is to be done with what a reading found of a user, as of an entry of the outbox and with a version: `tell` it, `drop` it, for
 * everybody was told something newer, or read it `again`, for some were.
 */
export function fateOf(
  { told, shown }: Reading,
  userId: string,
  id: string,
  version: number,
): 'tell' | 'drop' | 'again' {
  if (compareIds(told.get(userId) ?? '0-0', id) > 0) return 'drop';
  return (shown.get(userId) ?? 0) > version ? 'again' : 'tell';
}
