import type { StatusChange } from '../../protocol/socket.ts';
import { Frame } from './frames.ts';

/**
 * What somebody has been told in this window, in its order. Whoever was told the same until now, and is told the same next, shares
 * it: so what many are told alike is put together and encoded once, however many changes it is made of.
 */
export class Gathered {
  readonly before: Gathered | null;
  readonly change: StatusChange;
  /** The change encoded. */
  readonly json: string;
  #frame: Frame | null = null;

  constructor(before: Gathered | null, change: StatusChange, json: string) {
    this.before = before;
    this.change = change;
    this.json = json;
  }

  /** All of it in one event: of each user the newest state. */
  get frame(): Frame {
    this.#frame ??= new Frame('user_status_changes', `{"changes":[${[...newestIn(this).values()].join()}]}`);
    return this.#frame;
  }
}

function newestIn(gathered: Gathered): Map<string, string> {
  const all: Gathered[] = [];
  for (let one: Gathered | null = gathered; one; one = one.before) all.push(one);
  const newest = new Map<string, string>();
  const details = new Map<string, StatusChange['detail']>();
  for (const { change, json } of all.reverse()) {
    // A detail is told only where it changed: what a newer change does not speak of still holds.
    const { userId, detail = details.get(userId) } = change;
    if (detail !== undefined) details.set(userId, detail);
    newest.set(userId, detail === change.detail ? json : JSON.stringify({ ...change, detail }));
  }
  return newest;
}
