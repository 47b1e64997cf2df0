/**
 * What is measured side by side: Rollcall, the Rollcall of another folder where one is named, the least that Socket.IO can do,
 * and what people write by hand.
 */
export const SYSTEMS = ['rollcall', 'before', 'bare', 'tutorial'] as const;
export type SystemName = (typeof SYSTEMS)[number];

/** `of`: times what that one needs in the same repetition; else in the unit of the row. */
export type Target = { atMost: number; of?: SystemName } | { atLeast: number };

/** One line of the table: a value for each repetition. */
export interface Row {
  what: string;
  unit: string;
  values: Partial<Record<SystemName, number[]>>;
  targets?: Target[];
  /** Of what Rollcall's value is made up, where that says something: by process, or with and without something. */
  parts?: Record<string, number[]>;
}

export interface Outcome {
  rows: Row[];
  /** What does not fit a row: a table of its own. */
  tables?: Record<string, Record<string, string | number>[]>;
  /** The CPU time of the fixed piece of work, before each repetition. */
  cpuJobMs?: number[];
  notes?: string[];
}

/** `once`: full numbers and one repetition. `quick`: small numbers too, to see whether it works; its costs say little. */
export type Extent = 'full' | 'once' | 'quick';

export interface Scale {
  repetitions: number;
  /** The folder of another Rollcall to measure beside this one, as a version before; null: none. */
  against: string | null;
  /** One of two numbers, by scale. */
  pick<T>(full: T, quick: T): T;
}

export interface Figure {
  title: string;
  /** How long it takes on two cores, about. */
  seconds: { full: number; quick: number };
  /** Too long to be among all: measured only where its name is given. */
  byName?: boolean;
  measure(scale: Scale): Promise<Outcome>;
}

export function scaleOf(extent: Extent, against: string | null = null): Scale {
  return {
    against,
    repetitions: extent === 'full' ? 3 : 1,
    pick: (full, small) => (extent === 'quick' ? small : full),
  };
}

/** A line on the way, for who waits. */
export function say(text: string): void {
  console.log(`  ${text}`);
}
