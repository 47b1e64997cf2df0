import type { Span } from './spans.ts';

/** What somebody asked for: `from` asked, `to` answered, Infinity while it is not. */
export interface Act<T> extends Span {
  value: T;
  /** It was answered with yes. Else nobody knows whether it was done. */
  sure: boolean;
  /** When it was done at the latest, if it was. */
  by: number;
}

/** One thing that people change, and what of it is certain at which moment: several may change it at once, and not every answer comes. */
export class Register<T> {
  readonly #acts: Act<T>[] = [];
  /** Looked up where it is kept, or unknown by what was done there: from then on one of these. */
  readonly #known: { at: number; values: readonly T[] }[];

  constructor(at: number, value: T) {
    this.#known = [{ at, values: [value] }];
  }

  begin(act: Act<T>): void {
    this.#acts.push(act);
  }

  /** It was not even begun. */
  undo(act: Act<T>): void {
    this.#acts.splice(this.#acts.indexOf(act), 1);
  }

  know(at: number, values: readonly T[]): void {
    this.#known.push({ at, values });
  }

  /** Whatever has been answered by then is done, or will never be. */
  settle(at: number): void {
    for (const act of this.#acts) if (act.to <= at) act.by = Math.min(act.by, at);
  }

  /** When something of it may have become certain, or uncertain. */
  get moments(): number[] {
    return [...this.#acts.flatMap(({ from, to, by }) => [from, to, by]), ...this.#known.map(({ at }) => at)];
  }

  /** All that it may have been at some moment of the span, in which nothing becomes known anew. */
  possible({ from, to }: Span): Set<T> {
    const known = this.#known.findLast(({ at }) => at <= from) ?? this.#known[0];
    if (!known) return new Set();
    const acts = this.#acts.filter((act) => act.from < to && act.by > known.at);
    const isOver = (by: number) => acts.some((act) => act.sure && act.from >= by && act.to <= from);
    const values = acts.filter((act) => !isOver(act.by)).map(({ value }) => value);
    return new Set(isOver(known.at) ? values : [...known.values, ...values]);
  }
}

/** A register that is to have a value once something is done. */
export interface Change<T> {
  register: Register<T>;
  value: T;
}

type Answer = Pick<Act<unknown>, 'to' | 'by' | 'sure'> & { isVoid: boolean };

/** It is under way from now on; returns what takes the answer. */
export function begin<T>({ register, value }: Change<T>): (answer: Answer) => void {
  const act: Act<T> = {
    value,
    from: Date.now(),
    to: Number.POSITIVE_INFINITY,
    by: Number.POSITIVE_INFINITY,
    sure: false,
  };
  register.begin(act);
  return ({ isVoid, ...answer }) => {
    if (isVoid) register.undo(act);
    else Object.assign(act, answer);
  };
}
