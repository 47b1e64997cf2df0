import { readFileSync, writeFileSync } from 'node:fs';
import { figures } from './figures.ts';
import { short } from './measure/statistics.ts';
import { cells } from './measure/verdict.ts';
import { type Entry, type Run, readRuns } from './results.ts';

const PAGE = 'docs/benchmarks.md';
const [BEGIN, END] = ['<!-- results -->', '<!-- end of results -->'];

/** Puts the newest full results of every figure into the page; returns what it did. */
export function writeReport(): string {
  const found = new Map<string, { run: Run; entry: Entry }>();
  for (const run of readRuns()) {
    for (const entry of run.entries)
      if (entry.outcome && entry.extent === 'full') found.set(entry.figure, { run, entry });
  }
  const page = readFileSync(PAGE, 'utf8');
  const [before, rest = ''] = page.split(BEGIN);
  const after = rest.split(END)[1];
  if (after === undefined) throw new Error(`${PAGE} has no place for results (${BEGIN} and ${END}).`);
  writeFileSync(PAGE, `${before}${BEGIN}\n\n${text(found)}\n${END}${after}`);
  const missing = Object.keys(figures).filter((name) => !found.has(name));
  return `${found.size} figures are in ${PAGE}${missing.length > 0 ? `; never measured in full: ${missing.join(', ')}` : ''}.`;
}

function text(found: Map<string, { run: Run; entry: Entry }>): string {
  const lines: string[] = [];
  const made = Map.groupBy(found.values(), ({ run: { machine }, entry }) => {
    const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
    return (
      `Measured ${entry.at.slice(0, 10)} at commit ${machine.commit}, on ${machine.cpus} cores (${machine.model}), ` +
      `${machine.memoryGiB} GiB, Linux ${machine.kernel}, with ${versions.join(', ')}`
    );
  });
  for (const [how, some] of made) lines.push(`${how}: ${some.map(({ entry }) => entry.figure).join(', ')}.`, '');
  lines.push(
    '| what | unit | Rollcall | before | bare | tutorial | target |',
    '| --- | --- | --- | --- | --- | --- | --- |',
  );
  for (const name of Object.keys(figures)) {
    for (const row of found.get(name)?.entry.outcome?.rows ?? []) {
      const { what, unit, rollcall, before, bare, tutorial, targets, parts } = cells(row);
      const own = parts === '' ? rollcall : `${rollcall}<br>${parts}`;
      lines.push(
        `| ${what} | ${unit} | ${own} | ${before} | ${bare} | ${tutorial} | ${targets.replaceAll('MISSED', '**missed**')} |`,
      );
    }
  }
  for (const name of Object.keys(figures)) {
    const outcome = found.get(name)?.entry.outcome;
    for (const [title, table] of Object.entries(outcome?.tables ?? {}))
      lines.push('', `### ${title}`, '', ...tableOf(table));
    for (const note of outcome?.notes ?? []) lines.push('', `*${name}*: ${note}`);
  }
  const jobs = [...found].filter(([, { entry }]) => entry.outcome?.cpuJobMs?.length);
  const shown = jobs.map(([name, { entry }]) => `${name} ${(entry.outcome?.cpuJobMs ?? []).map(short).join('/')}`);
  lines.push('', `The fixed piece of work took, in ms of CPU before each repetition: ${shown.join(', ')}.`, '');
  return lines.join('\n');
}

function tableOf(rows: Record<string, string | number>[]): string[] {
  const heads = Object.keys(rows[0] ?? {});
  const line = (fields: (string | number)[]) => `| ${fields.join(' | ')} |`;
  return [line(heads), line(heads.map(() => '---')), ...rows.map((row) => line(heads.map((head) => row[head] ?? '')))];
}
