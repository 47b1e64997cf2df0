import { fileURLToPath } from 'node:url';
import { startChild } from './children.ts';
import { stopSignal } from './stop-signals.ts';

/**
 * `npm start`: web and worker together in the foreground, against the configured Redis and PostgreSQL. When one of
 * them ends, the other is stopped. Exits with 0 after a signal that both followed in order, else with the code of
 * the one that failed.
 */
const entries = { web: '../src/web/main.ts', worker: '../workers/main.ts' };

const stopping = stopSignal();
const children = Object.entries(entries).map(([name, path]) =>
  startChild(name, [fileURLToPath(new URL(path, import.meta.url))], { env: process.env, show: 'all' }),
);
const ends = children.map((child) => child.ended);

const first = await Promise.race([stopping.then(() => undefined), ...ends]);
await Promise.all(children.map((child) => child.stop()));
const codes = (await Promise.all(ends)).map(({ code }) => code ?? 1);
process.exit(first ? first.code || codes.find((code) => code !== 0) || 1 : (codes.find((code) => code !== 0) ?? 0));
