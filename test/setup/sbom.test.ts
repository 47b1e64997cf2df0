import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../../scripts/embedded/programs.ts';
import { writeSbom } from '../../scripts/sbom.ts';
import { copiedIntoImage } from '../support/deploying.ts';

interface Component {
  name: string;
  version: string;
  purl: string;
  hashes?: { alg: string; content: string }[];
  licenses?: { license?: { id?: string; name?: string }; expression?: string }[];
}
interface Locked {
  version: string;
  dev?: boolean;
  integrity?: string;
}

let folder: string;
let bill: { bomFormat: string; specVersion: string; metadata: { component: Component }; components: Component[] };
let wanted: [name: string, locked: Locked][];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rollcall-bill-'));
  bill = JSON.parse(await readFile(await writeSbom(join(folder, 'made', 'sbom.cdx.json')), 'utf8'));
  const { packages } = JSON.parse(await readFile('package-lock.json', 'utf8')) as { packages: Record<string, Locked> };
  wanted = Object.entries(packages)
    .filter(([path, { dev }]) => path !== '' && !dev)
    .map(([path, locked]) => [path.split('node_modules/').at(-1) ?? '', locked]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const named = ({ name, version }: { name: string; version: string }) => `${name}@${version}`;

test('the bill of materials is CycloneDX, of this service in its version', async () => {
  const { name, version } = JSON.parse(await readFile('package.json', 'utf8'));
  expect([bill.bomFormat, bill.specVersion]).toEqual(['CycloneDX', expect.stringMatching(/^1\.\d$/)]);
  expect(bill.metadata.component).toMatchObject({ type: 'application', name, version });
});

test('the bill names every package that production may hold, and no tool of development', () => {
  const names = [...new Set(wanted.map(([name, { version }]) => named({ name, version })))];
  expect(bill.components.map(named).sort()).toEqual(names.sort());
  // Tools of development need these as well.
  for (const shared of ['zod', 'pg', 'ws', 'socket.io-parser'])
    expect(bill.components.map(({ name }) => name)).toContain(shared);
  expect(bill.components.map(({ name }) => name)).not.toContain('vitest');
});

test('of each package it says the version, the licence, where it is from, and the hash that the lock file holds', () => {
  const hashes = new Map(wanted.map(([name, locked]) => [named({ name, version: locked.version }), locked.integrity]));
  const missing: string[] = [];
  for (const component of bill.components) {
    const { purl, licenses = [], hashes: given = [] } = component;
    const told = licenses.some(({ license, expression }) => (license?.id ?? license?.name ?? expression ?? '') !== '');
    if (!told) missing.push(`${named(component)}: a licence`);
    if (!purl.startsWith('pkg:npm/')) missing.push(`${named(component)}: its address`);
    const integrity = given.map(
      ({ alg, content }) => `${alg.replace('-', '').toLowerCase()}-${Buffer.from(content, 'hex').toString('base64')}`,
    );
    if (integrity[0] !== hashes.get(named(component))) missing.push(`${named(component)}: its hash`);
  }
  expect(missing).toEqual([]);
});

test('the image gets a bill of its own, made of no more than is there before the sources are', async () => {
  const [before = '', command = ''] = (await readFile('Dockerfile', 'utf8')).split(
    /^RUN .*(?=node scripts\/sbom\.ts)/m,
  );
  const image = join(folder, 'image');
  for (const path of copiedIntoImage(before)) await cp(path, join(image, path));
  const [, file = ''] = /^node scripts\/sbom\.ts (\S+)/.exec(command) ?? [];
  expect(await run(process.execPath, ['scripts/sbom.ts', file], { cwd: image })).toMatchObject({ ok: true });
  const made = JSON.parse(await readFile(join(image, file), 'utf8'));
  expect(made.components).toEqual(bill.components);
});
