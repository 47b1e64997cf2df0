import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../scripts/embedded/free-port.ts';
import { run } from '../../scripts/embedded/programs.ts';
import { providePromtool } from '../../scripts/embedded/promtool.ts';
import { ConfigError, readConfig } from '../../src/config/config.ts';
import { ERRORS } from '../../src/protocol/errors.ts';
import { Deployment } from '../support/deployment.ts';
import { LOCK } from '../support/metrics.ts';
import { temporaryRoom } from '../support/temporary.ts';

const ALERTS = 'docs/operations/alerts.yml';
const promtool = await providePromtool();
// Whoever counts on this run for every change must not lose a check without noticing.
if ('reason' in promtool && process.env.CI) throw new Error(promtool.reason);
if ('reason' in promtool) console.warn(`The rules of Prometheus are not checked: ${promtool.reason}`);

let [manual, alerts, dashboard, example] = ['', '', '', ''];
beforeAll(async () => {
  const files = ['docs/operations.md', ALERTS, 'docs/operations/dashboard.json', '.env.example'];
  [manual = '', alerts = '', dashboard = '', example = ''] = await Promise.all(
    files.map((file) => readFile(file, 'utf8')),
  );
});

/** The rows of the tables below a heading, cell by cell, without the mark-up of code. */
function rowsBelow(heading: string): string[][] {
  const [, rest = ''] = manual.split(`\n## ${heading}\n`);
  const [section = ''] = rest.split('\n## ');
  const lines = section.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| ---'));
  return lines.slice(1).map((line) => {
    const cells = line.slice(1, -1).split(/(?<!\\)\|/);
    return cells.map((cell) => cell.trim().replaceAll('`', ''));
  });
}

/** Every name that is read from the environment. */
function settingNames(): string[] {
  const names = new Set<string>();
  const spy = new Proxy({}, { get: (_, name) => void names.add(String(name)) });
  expect(() => readConfig(spy)).toThrow(ConfigError);
  return [...names].sort();
}

describe('the manual', () => {
  test('lists every setting, and none that is not there', () => {
    const listed = rowsBelow('Settings').map(([name = '']) => name);
    expect([...listed].sort()).toEqual(settingNames());
  });

  test('gives the same defaults as .env.example, which lists every setting too', () => {
    const given = new Map(
      [...example.matchAll(/^#?([A-Z][A-Z0-9_]*)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]),
    );
    expect([...given.keys()].sort()).toEqual(settingNames());
    for (const [name = '', fallback = ''] of rowsBelow('Settings')) {
      // Examples stand where there is no default.
      if (fallback !== 'none' && fallback !== 'required') expect([name, fallback]).toEqual([name, given.get(name)]);
    }
  });

  test('lists every error code with its status and what the other side may do', () => {
    const listed = rowsBelow('Error codes').map(([code, status, retry, reconnect]) => [code, status, retry, reconnect]);
    const table = Object.entries(ERRORS).map(([code, { statusCode, retry, reconnect }]) => {
      return [code, String(statusCode), retry ? 'yes' : 'no', reconnect ?? '–'];
    });
    expect([...listed].sort()).toEqual(table.sort());
  });

  test('says of every alert what to do when it fires', () => {
    const names = [...alerts.matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
    expect(names.length).toBeGreaterThan(10);
    const sections = [...manual.matchAll(/^### (Rollcall\w+)\n\n(.{80,})/gm)].map(([, name]) => name);
    expect(sections).toEqual(names);
  });

  test('shows files that exist', async () => {
    for (const [, path = ''] of manual.matchAll(/\]\(([^)#:]+)\)/g)) {
      await expect(readFile(new URL(path, `file://${process.cwd()}/docs/operations.md`))).resolves.toBeDefined();
    }
  });
});

describe('dashboard and alerts', () => {
  let rollcall: Deployment;
  /** Every name that a web and a worker give, as Prometheus stores it. */
  const measured = new Set<string>();

  beforeAll(async () => {
    const port = await freePort();
    rollcall = await Deployment.start('dashboard', { workers: 0, env: LOCK });
    await rollcall.addWorker({ METRICS_PORT: String(port) });
    const login = Buffer.from(`${LOCK.ADMIN_USER}:${LOCK.ADMIN_PASSWORD}`).toString('base64');
    for (const url of [rollcall.url, `http://127.0.0.1:${port}`]) {
      const answer = await fetch(`${url}/metrics`, { headers: { authorization: `Basic ${login}` } });
      for (const [, name = '', kind] of (await answer.text()).matchAll(/^# TYPE (\w+) (\w+)$/gm)) {
        if (kind !== 'histogram') measured.add(name);
        else for (const part of ['bucket', 'sum', 'count']) measured.add(`${name}_${part}`);
      }
    }
  });
  afterAll(() => rollcall?.stop());

  test('name only what web or worker measure', () => {
    const named = new Set(`${alerts}${dashboard}`.match(/\brollcall_\w+/g));
    expect(named.size).toBeGreaterThan(15);
    expect([...named].filter((name) => !measured.has(name))).toEqual([]);
  });

  test('the manual explains all that is measured, but for what Node tells of itself', () => {
    const explained = new Set(manual.match(/\brollcall_\w+/g));
    const own = [...measured].map((name) => name.replace(/_(bucket|sum|count)$/, ''));
    const unexplained = own.filter((name) => !/^rollcall_(process|nodejs)_/.test(name) && !explained.has(name));
    expect(unexplained).toEqual([]);
  });

  test('the dashboard asks one data source of the reader’s choice, and no two panels are one', () => {
    const { panels } = JSON.parse(dashboard) as Dashboard;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    for (const { type, datasource, targets = [] } of panels) {
      if (type === 'row') continue;
      expect(datasource?.uid).toBe(['$', '{datasource}'].join(''));
      expect(targets.length).toBeGreaterThan(0);
    }
  });

  describe.skipIf('reason' in promtool)('as Prometheus understands them', () => {
    const check = async (...args: string[]) => {
      const { ok, output } = await run('command' in promtool ? promtool.command : '', args);
      expect(ok, output).toBe(true);
    };

    test('the alerts and the example of a configuration are valid', async () => {
      await check('check', 'rules', ALERTS);
      await check('check', 'config', 'docs/operations/prometheus.yml');
    });

    test('the alerts fire when they should, and not when all is well', () =>
      check('test', 'rules', 'test/setup/alerts.rules-test.yml'));

    test('every question of the dashboard is valid', async () => {
      const { panels } = JSON.parse(dashboard) as Dashboard;
      const rules = panels
        .flatMap(({ targets = [] }) => targets)
        .map(({ expr }, n) => ({ record: `q${n}`, expr: expr.replaceAll('$__rate_interval', '1m') }));
      const room = await temporaryRoom('dashboard');
      try {
        const file = join(room.path, 'rules.yml');
        // JSON is YAML.
        await writeFile(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
        await check('check', 'rules', file);
      } finally {
        await room.remove();
      }
    });
  });
});

interface Dashboard {
  panels: { id: number; type: string; datasource?: { uid: string }; targets?: { expr: string }[] }[];
}
