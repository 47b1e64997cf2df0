import type { Outcome, Row, Target } from './figure.ts';
import { median, short } from './statistics.ts';

export interface Verdict {
  text: string;
  met: boolean;
}

/** What came out against a target. A ratio is that of each repetition, and the one in the middle counts. */
export function judge({ values }: Pick<Row, 'values'>, target: Target): Verdict | null {
  const own = values.rollcall ?? [];
  if (own.length === 0) return null;
  if ('atLeast' in target) {
    const value = median(own);
    return { text: `≥ ${short(target.atLeast)}`, met: value >= target.atLeast };
  }
  if (target.of === undefined) return { text: `≤ ${short(target.atMost)}`, met: median(own) <= target.atMost };
  const other = values[target.of] ?? [];
  if (other.length === 0) return null;
  const ratios = own.length === other.length ? own.map((value, n) => value / (other[n] ?? Number.NaN)) : [];
  const ratio = ratios.length > 0 ? median(ratios) : median(own) / median(other);
  return { text: `≤ ${target.atMost} × ${target.of}: ${short(ratio)}`, met: ratio <= target.atMost };
}

/** The one in the middle, and from where to where. */
export function shown(values: readonly number[] | undefined): string {
  if (!values || values.length === 0) return '–';
  const middle = short(median(values));
  if (values.length === 1) return middle;
  return `${middle} (${short(Math.min(...values))} to ${short(Math.max(...values))})`;
}

/** The cells of a row, as text. */
export function cells({ what, unit, values, targets = [], parts = {} }: Row) {
  const verdicts = targets.flatMap((target) => judge({ values }, target) ?? []);
  return {
    what,
    unit,
    rollcall: shown(values.rollcall),
    before: shown(values.before),
    bare: shown(values.bare),
    tutorial: shown(values.tutorial),
    targets: verdicts.map(({ text, met }) => `${text} ${met ? 'met' : 'MISSED'}`).join('; '),
    parts: Object.entries(parts)
      .map(([name, each]) => `${name} ${short(median(each))}`)
      .join(', '),
  };
}

export function printOutcome({ rows, tables = {}, cpuJobMs = [], notes = [] }: Outcome): void {
  for (const row of rows) {
    const { what, unit, rollcall, before, bare, tutorial, targets, parts } = cells(row);
    console.log(`  ${what} (${unit})`);
    console.log(`      Rollcall ${rollcall}${parts === '' ? '' : `  [${parts}]`}`);
    if (before !== '–') console.log(`      before ${before}`);
    if (bare !== '–' || tutorial !== '–') console.log(`      bare ${bare}   tutorial ${tutorial}`);
    if (targets !== '') console.log(`      target ${targets}`);
  }
  for (const [name, table] of Object.entries(tables)) {
    console.log(`  ${name}`);
    console.table(table);
  }
  for (const note of notes) console.log(`  ${note}`);
  if (cpuJobMs.length > 0) console.log(`  fixed CPU job, each repetition: ${cpuJobMs.map(short).join(', ')} ms`);
}
