/** One key or argument, as it is or as a number; some of those that come again and again. */
const TAKEN = /^(?:(?:tonumber\()?(KEYS|ARGV)\[([^\]]+)\]\)?|(?:\{ )?unpack\((KEYS|ARGV), [^()]+\)(?: \})?)$/;
const LOCAL = /^local ([\w, ]+) = (.+)$/;
/** In a list at a head: `5 userId`, `2.. moment`, `3.. in twos: userId, ask`; after a colon or in brackets stands what it is. */
const LISTED = /(?<=^| {2})(\d+)(\.\.)? (?:in \w+: )?(\w+(?:, \w+)*)/g;
const KINDS = ['KEYS', 'ARGV'] as const;

interface List {
  /** What the list calls a key or argument, by its number. */
  names: Map<string, string>;
  /** What it calls those that come again and again, in their order. */
  rest: string[];
}

/**
 * Holds a Lua script to the lists at its head: each key and argument is taken once, as a local of the name that its list gives it
 * and before anything else; those that come again and again as locals of their names, where it is their turn. Returns a sentence
 * for each that is not so.
 */
export function argumentFaults(text: string): string[] {
  const lines = text.split('\n');
  const begin = lines.findIndex((line) => line !== '' && !line.startsWith('--'));
  const faults: string[] = [];
  const statements = statementsOf(lines.slice(begin));
  for (const kind of KINDS) {
    const { names, rest } = listOf(lines.slice(0, begin), kind);
    const taken = new Set<string>();
    const takenRest: string[] = [];
    let isHead = true;
    for (const statement of statements) {
      const [, called = '', values = ''] = LOCAL.exec(statement) ?? [];
      const takings = partsOf(values).map((value) => TAKEN.exec(value));
      const isTaking = values !== '' && takings.every((taking) => taking !== null);
      if (!isTaking) isHead = false;
      if (!new RegExp(`(?<!#)\\b${kind}\\b`).test(statement.replaceAll('table.remove(ARGV)', ''))) continue;
      if (!isTaking) faults.push(`${kind} is used where nothing else should be: ${statement}`);
      for (const [n, name] of isTaking ? called.split(', ').entries() : []) {
        const taking = takings[Math.min(n, takings.length - 1)];
        const index = taking?.[2] ?? '';
        if ((taking?.[1] ?? taking?.[3]) !== kind) continue;
        if (!/^\d+$/.test(index)) takenRest.push(name);
        else if (!isHead) faults.push(`${kind} ${index} is taken behind other things: ${statement}`);
        else if (names.get(index) !== name) faults.push(`${kind} ${index} is ${name}, in the list ${names.get(index)}`);
        taken.add(index);
      }
    }
    for (const [index, name] of names)
      if (!taken.has(index)) faults.push(`${kind} ${index} ${name} is in the list and not taken`);
    if (takenRest.join() !== rest.join()) faults.push(`${kind} again and again: ${takenRest}, in the list ${rest}`);
  }
  return faults;
}

/** The statements of a script, each in one line. */
function statementsOf(lines: readonly string[]): string[] {
  const statements: string[] = [];
  let isOpen = false;
  for (const line of lines) {
    const text = line.replace(/(^|\s)--.*$/, '').trim();
    if (text === '') continue;
    if (isOpen) statements.push(`${statements.pop()} ${text}`);
    else statements.push(text);
    isOpen = /[,=]$/.test(text);
  }
  return statements;
}

/** What stands between the commas of a list, of which those within brackets are none. */
function partsOf(values: string): string[] {
  return values.split(/, (?![^(]*\))/);
}

function listOf(head: readonly string[], kind: (typeof KINDS)[number]): List {
  const from = head.findIndex((line) => line.startsWith(`-- ${kind} `));
  const list: List = { names: new Map(), rest: [] };
  if (from < 0) return list;
  const behind = head.slice(from + 1);
  const end = behind.findIndex((line) => !line.startsWith('--   '));
  let text = (head[from] ?? '').slice(`-- ${kind}`.length).trim();
  for (const line of end < 0 ? behind : behind.slice(0, end)) {
    const more = line.slice(2).trim();
    text += `${/^\d/.test(more) ? '  ' : ' '}${more}`;
  }
  for (const [, index = '', dots, names = ''] of text.matchAll(LISTED)) {
    if (dots) list.rest.push(...names.split(', '));
    else list.names.set(index, names.split(', ')[0] ?? '');
  }
  return list;
}
