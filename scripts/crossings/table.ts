import { readFile, writeFile } from 'node:fs/promises';

/** What came of one crossing. */
export interface Outcome {
  name: string;
  /** Of the servers, as they say themselves. */
  versions: string[];
  passed: number;
  failed: number;
  /** Why it could not be run. */
  leftOut?: string;
}

const GUIDE = 'docs/compatibility.md';
const HEAD = ['| crossing | versions | passed | failed |', '| --- | --- | --- | --- |'];

export function tableOf(outcomes: readonly Outcome[]): string {
  return [...HEAD, ...outcomes.map(rowOf)].join('\n');
}

function rowOf({ name, versions, passed, failed, leftOut }: Outcome): string {
  return leftOut === undefined
    ? `| \`${name}\` | ${versions.join(', ')} | ${passed} | ${failed} |`
    : `| \`${name}\` | left out: ${leftOut} | | |`;
}

/** Puts its row into the table of the guide: over the one of the same name, the others stay. */
export async function writeIntoGuide(outcome: Outcome): Promise<void> {
  const guide = await readFile(GUIDE, 'utf8');
  const [before = '', rest = ''] = guide.split(`${HEAD.join('\n')}\n`);
  const rows = /^(?:\|.*\n)*/.exec(rest)?.[0] ?? '';
  const table = new Map(
    rows.split('\n').flatMap((row) => (row === '' ? [] : [[row.split('`')[1] ?? '', row] as const])),
  );
  table.set(outcome.name, rowOf(outcome));
  await writeFile(GUIDE, `${before}${[...HEAD, ...table.values()].join('\n')}\n${rest.slice(rows.length)}`);
}
