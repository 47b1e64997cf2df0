import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Extent, Outcome } from './measure/figure.ts';
import type { Machine } from './measure/machine.ts';

const FOLDER = '.data/bench';

export interface Entry {
  figure: string;
  at: string;
  extent: Extent;
  tookSeconds: number;
  outcome?: Outcome;
  error?: string;
}

export interface Run {
  machine: Machine;
  entries: Entry[];
}

/** The file of one run, kept after every figure. */
export class RunFile {
  readonly path: string;
  readonly #run: Run;

  constructor(machine: Machine, at = new Date()) {
    this.path = join(FOLDER, `${at.toISOString().slice(0, 19).replaceAll(':', '-')}.json`);
    this.#run = { machine, entries: [] };
  }

  add(entry: Entry): void {
    this.#run.entries.push(entry);
    mkdirSync(FOLDER, { recursive: true });
    writeFileSync(this.path, `${JSON.stringify(this.#run, null, 1)}\n`);
  }
}

/** Every run there is, the oldest first. */
export function readRuns(): Run[] {
  try {
    const names = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));
    return names.sort().map((name) => JSON.parse(readFileSync(join(FOLDER, name), 'utf8'), revive) as Run);
  } catch {
    return [];
  }
}

/** What is no number in JSON never came: as late as can be. */
function revive(_key: string, value: unknown): unknown {
  return value === null ? Number.POSITIVE_INFINITY : value;
}
