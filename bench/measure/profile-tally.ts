import { readFileSync } from 'node:fs';

interface Node {
  id: number;
  callFrame: { functionName: string; url: string; lineNumber: number };
  children?: number[];
}

interface Profile {
  nodes: Node[];
  samples: number[];
  timeDeltas: number[];
}

const NOT_WORK = new Set(['(idle)', '(root)']);

/** The functions in which most time was spent themselves, and packages as a whole; shares of what was not idle, in percent. */
export function tallyProfile(file: string, most = 30) {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8')) as Profile;
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const [functions, packages] = [new Map<string, number>(), new Map<string, number>()];
  let busy = 0;
  let all = 0;
  for (const [n, id] of samples.entries()) {
    const micros = Math.max(0, timeDeltas[n] ?? 0);
    all += micros;
    const frame = byId.get(id)?.callFrame;
    if (!frame || NOT_WORK.has(frame.functionName) || frame.url === 'node:inspector') continue;
    busy += micros;
    const place = `${frame.functionName || '(anonymous)'} ${shortUrl(frame.url)}:${frame.lineNumber + 1}`;
    functions.set(place, (functions.get(place) ?? 0) + micros);
    const owner = ownerOf(frame);
    packages.set(owner, (packages.get(owner) ?? 0) + micros);
  }
  const top = (counts: Map<string, number>) =>
    [...counts]
      .sort((a, b) => b[1] - a[1])
      .slice(0, most)
      .map(([name, micros]) => ({ percent: Math.round((micros * 1000) / busy) / 10, name }));
  return { busyShare: busy / all, functions: top(functions), packages: top(packages) };
}

function shortUrl(url: string): string {
  return url
    .replace(/^file:\/\//, '')
    .replace(/^.*\/node_modules\//, '')
    .replace(`${process.cwd()}/`, '');
}

function ownerOf({ functionName, url }: Node['callFrame']): string {
  const named = /\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1];
  if (named) return named;
  if (url.startsWith('node:')) return url.replace(/^(node:[^/]+(?:\/[^/]+)?).*$/, '$1');
  return url === '' ? functionName || '(native)' : 'rollcall';
}
