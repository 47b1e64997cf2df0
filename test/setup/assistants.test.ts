import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as client from '../../src/client/index.ts';
import * as react from '../../src/client/react.tsx';
import { ERRORS } from '../../src/protocol/errors.ts';
import { blocksOf } from '../support/page-blocks.ts';
import { openWorld, type World } from '../web/rest-world.ts';

const PAGE = 'docs/assistants.md';
const page = readFileSync(PAGE, 'utf8');
const prose = page.replaceAll(/^```.*?^```$/gms, '');
const quoted = [...prose.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text);

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.app.close());

test('all code that an assistant is given is the quick start’s, which is run', () => {
  const run = new Set(blocksOf('docs/quickstart.md').map(({ text }) => text));
  const given = blocksOf(PAGE).map(({ text }) => text);
  expect(given.length).toBeGreaterThanOrEqual(6);
  expect(given.filter((text) => !run.has(text))).toEqual([]);
});

test('every function, hook and method that it names is there, and none that the package has is left out', () => {
  const tables = [...prose.matchAll(/^\| `(\w+)(?:\(.*?\))?` \|/gm)].map(([, name = '']) => name);
  expect(tables.sort()).toEqual([...Object.keys(client), ...Object.keys(react)].sort());
  const [, methods = ''] = /Its methods: (.*?)\.\n\n/s.exec(prose) ?? [];
  const named = [...methods.matchAll(/`(\w+)\(/g)].map(([, name = '']) => name);
  const presence = client.createPresenceClient({ url: 'http://127.0.0.1:1', getToken: () => null });
  const own = Object.entries(presence).flatMap(([name, value]) => (typeof value === 'function' ? [name] : []));
  // `add` is for withSocial and withRooms alone.
  expect(named.sort()).toEqual(own.filter((name) => name !== 'add').sort());
});

test('every route, setting and error code that it names is there', async () => {
  const { paths } = (await world.app.inject('/docs/json')).json();
  const routes = [...prose.matchAll(/^\| `([A-Z]+) (\/[^`?]*)` \|/gm)];
  expect(routes.length).toBeGreaterThan(5);
  // What stands for an id is told apart by its place, not by its name.
  const shape = (path: string) => path.replaceAll(/\{\w+\}/g, '{}');
  const known = Object.entries<object>(paths).flatMap(([path, item]) =>
    Object.keys(item).map((verb) => `${verb.toUpperCase()} ${shape(path)}`),
  );
  expect(
    routes.map(([, verb, path = '']) => `${verb} ${shape(path)}`).filter((route) => !known.includes(route)),
  ).toEqual([]);
  const settings = readFileSync('.env.example', 'utf8');
  const capitals = quoted
    .flatMap((text) => /^[A-Z]+_?[A-Z_]*(?==|$)/.exec(text) ?? [])
    .filter((word) => word.length > 3);
  expect(capitals.length).toBeGreaterThan(6);
  const unknown = capitals.filter(
    (word) => !Object.hasOwn(ERRORS, word) && !new RegExp(`^#?${word}=`, 'm').test(settings),
  );
  expect(unknown).toEqual([]);
});

test('llms.txt leads to pages that are there, the assistants’ first', () => {
  const text = readFileSync('llms.txt', 'utf8');
  expect(text).toMatch(/^# Rollcall\n\n> .+\n/);
  const links = [...text.matchAll(/^- \[[^\]]+\]\(([^)]+)\): .+$/gm)].map(([, path = '']) => path);
  expect(links[0]).toBe(PAGE);
  expect(links.filter((path) => !existsSync(path))).toEqual([]);
  expect(text.match(/^- /gm)).toHaveLength(links.length);
});
