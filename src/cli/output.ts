/** Where the words of a command go, and what is known of who reads them. */
export interface Io {
  env: Record<string, string | undefined>;
  out(text: string): void;
  err(text: string): void;
  /** Whether standard output is a terminal. */
  isTerminal: boolean;
  /** Ends what goes on until it is stopped. */
  signal: AbortSignal;
}

const COLOURS = { green: 32, yellow: 33, red: 31, dim: 2, bold: 1 };
type Paint = (colour: keyof typeof COLOURS, text: string) => string;

/** Colours where a person looks on: on a terminal, unless NO_COLOR is set. */
export function painter({ env, isTerminal }: Pick<Io, 'env' | 'isTerminal'>): Paint {
  const coloured = isTerminal && !env.NO_COLOR && env.TERM !== 'dumb';
  return (colour, text) => (coloured ? `\u001b[${COLOURS[colour]}m${text}\u001b[0m` : text);
}

/** What people wrote themselves, as one line that tells a terminal nothing. */
export function plain(text: string): string {
  return text.replaceAll(/\p{C}/gu, '·');
}

/** What somebody shows beside the status, in words; empty where that is nothing. */
export function shows(detail: { [field: string]: unknown } = {}): string {
  const { availability, text, emoji, idle } = detail;
  const said = [availability, emoji, text].filter((word) => typeof word === 'string').map((word) => plain(word));
  return [...(idle === true ? ['idle'] : []), ...said].join(', ');
}

/** Rows below each other, the columns as wide as their widest cell; the first row is the head. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => width(row[column] ?? ''))));
  const line = (row: readonly string[]) =>
    row.map((cell, column) => cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - width(cell)))).join('  ');
  return rows.map((row) => line(row).trimEnd()).join('\n');
}

/** Of a text on a terminal, where colours take no place. */
function width(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what colours begin with
  return [...text.replaceAll(/\u001b\[\d+m/g, '')].length;
}

/** A moment as a clock on the wall shows it, with the day where that is not today. */
export function clockTime(iso: string | null, now = new Date()): string {
  if (iso === null) return 'never';
  const time = new Date(iso);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} `;
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':');
  return time.toDateString() === now.toDateString() ? clock : day + clock;
}
