import { readFile } from 'node:fs/promises';

/** The command of each process that the Procfile names. */
export async function procfile(): Promise<Record<string, string>> {
  const lines = (await readFile('Procfile', 'utf8')).trim().split('\n');
  return Object.fromEntries(
    lines.map((line) => {
      const [, name = '', command = ''] = /^(\w+): (.+)$/.exec(line) ?? [];
      return [name, command];
    }),
  );
}

/** Files and folders of the project that get into the image. */
export function copiedIntoImage(dockerfile: string): string[] {
  return [...dockerfile.matchAll(/^COPY (.+) \S+$/gm)].flatMap(([, sources = '']) => sources.split(' '));
}

/** The entry points that a text names, such as `src/web/main.ts`. */
export function entriesOf(text: string): string[] {
  return [...new Set(text.match(/\b(?:src|workers|scripts)\/[\w/-]+\.ts/g))].sort();
}
