import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';

const PAGES = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...globSync('docs/*.md')].sort();
const withoutCode = (text: string) => text.replaceAll(/^```.*?^```$/gms, '');

/** The names of a page's headings as GitHub makes them, and those that stand in it as `<a id>`. */
function anchorsOf(page: string): Set<string> {
  const text = withoutCode(readFileSync(page, 'utf8'));
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .replaceAll(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
      .replaceAll(' ', '-'),
  );
  const named = [...text.matchAll(/<a id="([^"]+)">/g)].map(([, id = '']) => id);
  return new Set([...headings, ...named]);
}

test('every link from one page to another leads to a file, and to a heading that is there', () => {
  const faults: string[] = [];
  let links = 0;
  for (const page of PAGES) {
    for (const [, target = ''] of withoutCode(readFileSync(page, 'utf8')).matchAll(/\]\((?!https?:|\/)([^)\s]+)\)/g)) {
      links += 1;
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? page : join(dirname(page), path);
      if (!existsSync(file)) faults.push(`${page}: ${target} is no file`);
      else if (anchor !== undefined && file.endsWith('.md') && !anchorsOf(file).has(anchor)) {
        faults.push(`${page}: ${target} has no such heading`);
      }
    }
  }
  expect(links).toBeGreaterThan(100);
  expect(faults).toEqual([]);
});

test('the words that people search for stand in a heading or in the first sentences of a page', () => {
  const searched = PAGES.map((page) => {
    const text = readFileSync(page, 'utf8');
    return [...(text.match(/^#+ .*$/gm) ?? []), text.slice(0, 700)].join('\n').toLowerCase();
  }).join('\n');
  const words = [
    'online',
    'offline',
    'custom status',
    'last seen',
    'invisible',
    'appear offline',
    'typing',
    'idle',
    'block',
  ];
  const more = [
    'hide',
    '401',
    'cors',
    'nginx',
    'webhook',
    'heroku',
    'connections',
    'do not disturb',
    'daily active users',
    'gdpr',
  ];
  expect([...words, ...more].filter((word) => !searched.includes(word))).toEqual([]);
});
