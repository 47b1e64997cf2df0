import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../scripts/embedded/programs.ts';
import { readConfig } from '../../src/config/config.ts';
import { copiedIntoImage, entriesOf, procfile } from '../support/deploying.ts';

let [dockerfile, ignored] = ['', ''];
let processes: Record<string, string>;
beforeAll(async () => {
  const files = ['Dockerfile', '.dockerignore'];
  [dockerfile = '', ignored = ''] = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  processes = await procfile();
});

describe('Heroku', () => {
  interface Manifest {
    env: Record<string, { value?: string; generator?: string; required?: boolean }>;
    formation: Record<string, { quantity: number }>;
    addons: { plan: string }[];
  }
  let manifest: Manifest;
  beforeAll(async () => {
    manifest = JSON.parse(await readFile('app.json', 'utf8'));
  });

  test('runs what the Procfile names, one of each', () => {
    const { release, ...running } = processes;
    expect(release).toBe('node scripts/migrate.ts');
    expect(Object.keys(manifest.formation).sort()).toEqual(Object.keys(running).sort());
    for (const { quantity } of Object.values(manifest.formation)) expect(quantity).toBe(1);
  });

  test('gives everything that a process needs to start, its own encryption and router considered', () => {
    const given: Record<string, string> = {
      // By the platform and the add-ons.
      PORT: '21034',
      REDIS_URL: 'rediss://:secret@ec2-192-0-2-1.compute-1.amazonaws.com:6380',
      DATABASE_URL: 'postgres://user:secret@ec2-192-0-2-2.compute-1.amazonaws.com:5432/d1',
    };
    for (const [name, { value, generator }] of Object.entries(manifest.env)) {
      if (generator === 'secret') given[name] = 'f0'.repeat(32);
      else if (value !== undefined) given[name] = value;
    }
    const seen = new Set<string>();
    const spy = new Proxy(given, {
      get: (target, name) => {
        seen.add(String(name));
        return target[String(name)];
      },
    });
    expect(readConfig(spy)).toMatchObject({
      port: 21_034,
      databaseSsl: 'no-verify',
      redisTlsRejectUnauthorized: false,
      trustProxy: 1,
      adminPassword: 'f0'.repeat(32),
      jwt: { key: { algorithm: 'HS256' } },
    });
    expect(Object.keys(manifest.env).filter((name) => !seen.has(name))).toEqual([]);
    expect(manifest.addons.map(({ plan }) => plan.split(':')[0])).toEqual(['heroku-postgresql', 'heroku-redis']);
  });
});

describe('the image', () => {
  test('holds all that the Procfile starts, nothing that does not exist, and .dockerignore lets it in', () => {
    const copied = copiedIntoImage(dockerfile);
    for (const path of copied) {
      expect([path, existsSync(path)]).toEqual([path, true]);
      expect(ignored.split('\n')).toContain(`!${path.split('/')[0]}`);
    }
    for (const entry of entriesOf(Object.values(processes).join('\n'))) {
      expect(copied.some((path) => entry === path || entry.startsWith(`${path}/`))).toBe(true);
    }
    expect(ignored.split('\n')[0]).toBe('*');
  });

  test('runs Node 24 without root rights and with production dependencies alone', () => {
    const steps = dockerfile.split('\n').filter((line) => /^[A-Z]+ /.test(line));
    expect(steps[0]).toMatch(/^FROM node:24/);
    const at = (step: string) => steps.findIndex((line) => line.startsWith(step));
    expect(at('USER node')).toBeGreaterThan(at('RUN npm ci --omit=dev'));
    expect(at('CMD')).toBeGreaterThan(at('USER node'));
    expect(steps.filter((line) => line.startsWith('USER'))).toHaveLength(1);
    const command = JSON.parse(steps.at(-1)?.replace('CMD ', '') ?? '');
    expect(command.join(' ')).toBe(processes.web);
  });

  test('is healthy while /healthz answers 200, at the port it is given, and not otherwise', async () => {
    const [, json = ''] = /^HEALTHCHECK [^\n]*\\\n\s+CMD (\[.*\])$/m.exec(dockerfile) ?? [];
    const [, ...args]: string[] = JSON.parse(json);
    let status = 200;
    const asked: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url);
      response.writeHead(status).end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const check = () => run(process.execPath, args, { env: { PORT: String(port) } });
    expect((await check()).ok).toBe(true);
    status = 503;
    expect((await check()).ok).toBe(false);
    expect(asked).toEqual(['/healthz', '/healthz']);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    expect((await check()).ok).toBe(false);
  });
});
