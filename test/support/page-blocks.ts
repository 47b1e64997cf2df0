import { readFileSync } from 'node:fs';

/** A fenced block of code on a page. */
export interface PageBlock {
  language: string;
  text: string;
  /** The file that it is, where its first line is a comment that names one. */
  file: string | null;
}

/** The fenced blocks of a page of the docs, in their order. */
export function blocksOf(page: string): PageBlock[] {
  const blocks = readFileSync(page, 'utf8').matchAll(/^```(\w+)\n(.*?)^```$/gms);
  return [...blocks].map(([, language = '', text = '']) => {
    const [, file = null] = /^(?:\/\/|#|<!--) ([\w.-]+\.\w+)(?: -->)?\n/.exec(text) ?? [];
    return { language, text, file };
  });
}

/** The blocks of a page as a test uses them up, so that it can say in the end which were left. */
export class Blocks {
  readonly #left: Set<PageBlock>;

  constructor(page: string) {
    this.#left = new Set(blocksOf(page));
  }

  /** The text of the one block that is this file, or has this text in it. Throws where there is none that was not taken. */
  take(named: string): string {
    const found = [...this.#left].find(({ file, text }) => file === named || text.includes(named));
    if (!found) throw new Error(`The page has no block with ${named}`);
    this.#left.delete(found);
    return found.text;
  }

  /** What nobody took. */
  get left(): string[] {
    return [...this.#left].map(({ text }) => text);
  }
}
