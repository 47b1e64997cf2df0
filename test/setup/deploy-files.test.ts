import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import knex from 'knex';
import { describe, expect, inject, test } from 'vitest';
import { parse } from 'yaml';
import { onPath, run } from '../../scripts/embedded/programs.ts';
import { ConfigError, readConfig } from '../../src/config/config.ts';
import { migrate } from '../../src/postgres/migrate.ts';
import { entriesOf, procfile } from '../support/deploying.ts';
import { temporaryRoom } from '../support/temporary.ts';
import { openWorld } from '../web/rest-world.ts';

/** Every name that is read from the environment, and what else the files may say in capitals. */
function settingNames(): Set<string> {
  const names = new Set<string>();
  const spy = new Proxy({}, { get: (_, name) => void names.add(String(name)) });
  expect(() => readConfig(spy)).toThrow(ConfigError);
  return names;
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

const guide = await readFile('docs/deploy.md', 'utf8');
const texts = new Map<string, string>([['docs/deploy.md', guide]]);
for (const file of await filesBelow('deploy')) texts.set(file, await readFile(file, 'utf8'));

describe('what is there for deploying', () => {
  test('names settings that exist, and no others', () => {
    const known = settingNames();
    // Of Node, Compose, PostgreSQL, Helm and systemd.
    const others = new Set(['NODE_ENV', 'PRESENCE_HOST', 'PUBLISHED_PORT', 'PUBLISHED_ADDRESS']);
    for (const [file, text] of texts) {
      const named = text.match(/\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b/g) ?? [];
      expect([file, named.filter((name) => !known.has(name) && !others.has(name) && !/^AF_/.test(name))]).toEqual([
        file,
        [],
      ]);
    }
  });

  test('starts files that exist, those of the Procfile among them', async () => {
    const started = entriesOf([...texts.values()].join('\n'));
    expect(started.filter((path) => !existsSync(path))).toEqual([]);
    expect(started).toEqual(expect.arrayContaining(entriesOf(Object.values(await procfile()).join('\n'))));
  });

  test('probes paths that answer with 200 where all is well', async () => {
    const paths = new Set(
      [...texts.values()].flatMap((text) =>
        [...text.matchAll(/path: (\/\w+)|:3000(\/\w+)/g)].map(([, a, b]) => a ?? b ?? ''),
      ),
    );
    expect([...paths].sort()).toEqual(['/healthz', '/readyz']);
    const { app } = await openWorld();
    for (const path of paths) expect([path, (await app.inject(path)).statusCode]).toEqual([path, 200]);
    await app.close();
  });

  test('leads to files and headings that are there', async () => {
    for (const [, path = '', heading] of guide.matchAll(/\]\(([^)#:]*)(?:#([^)]+))?\)/g)) {
      const file = path === '' ? 'docs/deploy.md' : join('docs', path);
      expect([file, existsSync(file)]).toEqual([file, true]);
      if (heading === undefined) continue;
      const headings = [...(await readFile(file, 'utf8')).matchAll(/^#+ (.+)$|<a id="([^"]+)"/gm)];
      const anchors = headings.map(
        ([, words, id]) =>
          id ??
          words
            ?.toLowerCase()
            .replace(/[^\w\s-]/g, '')
            .replaceAll(' ', '-'),
      );
      expect(anchors).toContain(heading);
    }
  });
});

test('the units of systemd are valid, and give a process longer to end than it promises to take', async (context) => {
  const units = [...texts].filter(([file]) => file.endsWith('.service'));
  expect(units.map(([file]) => basename(file)).sort()).toEqual([
    'rollcall-migrate.service',
    'rollcall-web@.service',
    'rollcall-worker@.service',
  ]);
  for (const [file, text] of units) {
    if (file.includes('@')) expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(text)?.[1])).toBeGreaterThan(25);
  }
  const analyze = onPath('systemd-analyze');
  if (!analyze) return context.skip('systemd-analyze is not there');
  const room = await temporaryRoom('units');
  try {
    const files = units.map(async ([file, text]) => {
      const placed = join(room.path, basename(file).replace('@', '@3000'));
      // It looks whether the programs are there: Node is elsewhere on every machine.
      await writeFile(
        placed,
        text.replaceAll('/usr/bin/node', process.execPath).replaceAll('/opt/rollcall', process.cwd()),
      );
      return placed;
    });
    const { ok, output } = await run(analyze, ['verify', '--man=no', ...(await Promise.all(files))]);
    expect({ ok, output }).toEqual({ ok: true, output: '' });
  } finally {
    await room.remove();
  }
});

test('Compose for a small server adds a proxy to the services that are there, and publishes it alone', () => {
  const base = parse(texts.get('deploy/compose/small-server.yml') ?? '');
  expect(Object.keys(base.services).sort()).toEqual(['caddy', 'web', 'worker']);
  expect(base.services.caddy.command.slice(-2)).toEqual(['--to', 'web:3000']);
  expect(base.services.web.ports ?? base.services.worker.ports).toBeUndefined();
  // What web and worker go by is the same in both.
  expect(base.services.web.environment).toMatchObject(base.services.worker.environment);
});

test('the lines that create database and user do, and the migration runs as that user', async () => {
  const [, lines = ''] = /^```sql\n(.*?)^```$/ms.exec(guide) ?? [];
  expect(lines.trim().split('\n').length).toBeLessThanOrEqual(5);
  const own = `deploy_${process.pid}`;
  const url = new URL(inject('sharedStores').postgresUrl);
  const admin = knex({ client: 'pg', connection: url.href, pool: { min: 0, max: 1 } });
  try {
    for (const line of lines
      .replaceAll(/\brollcall\b/g, own)
      .split('\n')
      .filter((text) => text !== ''))
      await admin.raw(line);
    const address = new URL(url);
    address.username = own;
    address.password = 'secret';
    address.pathname = `/${own}`;
    expect((await migrate(address.href, 'by-url')).length).toBeGreaterThan(0);
    expect(await migrate(address.href, 'by-url')).toEqual([]);
  } finally {
    await admin.raw(`DROP DATABASE IF EXISTS ${own}`);
    await admin.raw(`DROP ROLE IF EXISTS ${own}`);
    await admin.destroy();
  }
});

test('an older Node is told which one is needed, in one sentence, before anything else; the right one goes on', async () => {
  const check = (version: string) => {
    const pretend = `data:text/javascript,Object.defineProperty(process,'version',{value:'${version}'})`;
    return run(process.execPath, ['--import', pretend, 'scripts/check-node.mjs']);
  };
  for (const old of ['v18.20.4', 'v20.0.0', 'v22.18.0']) {
    const { ok, output } = await check(old);
    expect([ok, output]).toEqual([
      false,
      expect.stringMatching(new RegExp(`^Rollcall needs Node 24 and this is ${old}: .+\\.\\n$`)),
    ]);
  }
  expect(await check(process.version)).toEqual({ ok: true, output: '' });
  const { scripts, engines } = JSON.parse(await readFile('package.json', 'utf8'));
  expect(engines.node).toBe('24.x');
  for (const name of ['start', 'migrate']) expect(scripts[name]).toMatch(/^node scripts\/check-node\.mjs && /);
  for (const [file, text] of texts) {
    if (file.endsWith('.service')) expect(text).toContain('\nExecStartPre=/usr/bin/node scripts/check-node.mjs\n');
  }
});

test('the chart is of this version of Rollcall', async () => {
  const chart = parse(texts.get('deploy/helm/Chart.yaml') ?? '');
  expect(chart.appVersion).toBe(JSON.parse(await readFile('package.json', 'utf8')).version);
  expect(chart).toMatchObject({
    apiVersion: 'v2',
    name: 'rollcall',
    version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
  });
});
