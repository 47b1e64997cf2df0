import { globSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

/** Functions and classes that a file exports, and an empty line or code before them instead of a docstring. */
function withoutDocstring(text: string): string[] {
  const exported =
    /^export (?:default )?(?:abstract )?(?:async )?(?:function\*? |class |const (?=\w+ = (?:async )?(?:<.*>)?\())(\w+)/;
  const lines = text.split('\n');
  return lines.flatMap((line, n) => {
    const [, name] = exported.exec(line) ?? [];
    return name !== undefined && !lines[n - 1]?.endsWith('*/') ? [name] : [];
  });
}

/** Docstrings that go on from the one before them, which an editor's hover does not show. */
function leaning(text: string): string[] {
  return (text.match(/\/\*\*[\s\S]*?\*\//g) ?? []).filter((docstring) =>
    /^[\s*/]*(the same|same as|as above|as before|likewise|ditto|also)\b/i.test(docstring),
  );
}

/** Docstrings with another right below them, which is what the function has. */
const strayed = (text: string) => text.match(/^.*\*\/(?=\n[ ]*\/\*\*)/gm) ?? [];

const sources = ['src/**/*.ts', 'src/**/*.tsx', 'workers/*.ts'].flatMap((pattern) => globSync(pattern)).sort();
const findings = (find: (text: string) => string[], files: string[]) =>
  files.flatMap((file) => find(readFileSync(file, 'utf8')).map((finding) => `${file}: ${finding}`));

test('every function and class that is exported says what it is for; the components of the demo’s page by their names', () => {
  const files = sources.filter((file) => !file.startsWith('src/demo/'));
  expect(files.length).toBeGreaterThan(200);
  expect(findings(withoutDocstring, files)).toEqual([]);
});

test('a docstring makes sense without the one before it', () => {
  expect(findings(leaning, sources)).toEqual([]);
});

test('a docstring stands above what it is about', () => {
  expect(findings(strayed, sources)).toEqual([]);
  expect(strayed('/** Begins. */\n/** Ends. */\nend();\n/** A file. */\n\n/** A thing. */\n')).toEqual([
    '/** Begins. */',
  ]);
});

test('a function without a docstring is found, whatever stands above it', () => {
  const text = `
/** Says. */
export function says() {}

export async function silent<T>(value: T): Promise<T> {}
// A remark is no docstring.
export class Remarked {}
export const arrow = (ms: number) => ms;
export const value = 1;
function own() {}
`;
  expect(withoutDocstring(text)).toEqual(['silent', 'Remarked', 'arrow']);
});

test('a docstring that leans on another is found, of one line and of more', () => {
  const text = `
/** Users who have a deadline. */
const all = 1;
/** The same of those alone who are late. */
const late = 2;
/**
 * Also where it is off.
 */
const off = 3;
/** A name, and the same everywhere. */
const name = 4;
`;
  expect(leaning(text).map((found) => found.replaceAll(/[\s*/]+/g, ' ').trim())).toEqual([
    'The same of those alone who are late.',
    'Also where it is off.',
  ]);
});
