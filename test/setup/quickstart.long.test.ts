import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { appendFile, copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildClient } from '../../scripts/build-client.ts';
import { freePort, reservePort } from '../../scripts/embedded/free-port.ts';
import { guardProcess } from '../../scripts/embedded/guard.ts';
import { run } from '../../scripts/embedded/programs.ts';
import { PROXY_PROGRAMS } from '../../scripts/embedded/proxy-programs.ts';
import { provideUnpacked } from '../../scripts/embedded/unpacked.ts';
import { Chromium } from '../browser/chromium.ts';
import { eventually } from '../support/deployment.ts';
import { Blocks } from '../support/page-blocks.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';
import { temporaryRoom } from '../support/temporary.ts';

const root = process.cwd();
const OWN = ['package.json', 'scripts', 'src', 'workers', 'migrations', 'node_modules'];
const blocks = new Blocks('docs/quickstart.md');

let room: Awaited<ReturnType<typeof temporaryRoom>>;
let stores: TestStores;
let browser: Chromium;
/** What stands on the page, and what takes its place here: ports that are free, and stores of the test's own. */
const places = new Map<string, string>();
const running: Running[] = [];
let rollcall: Running;

/** A command of the page that goes on until it is stopped. */
class Running {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  said = '';

  constructor(command: string, cwd: string, env: Record<string, string> = {}) {
    // A group of its own, since a shell passes no signal on.
    this.#child = spawn('sh', ['-c', command], { cwd, env: environment(env), detached: true });
    const release = guardProcess(this.#child.pid ?? 0, 'SIGTERM');
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.said += text;
      });
    }
    this.#exited = once(this.#child, 'exit').then(release);
    running.push(this);
  }

  async answers(url: string): Promise<void> {
    await eventually(
      () => fetch(url).then(() => 'an answer', String),
      (answer) => answer === 'an answer' || this.#child.exitCode !== null,
      60_000,
    );
    if (this.#child.exitCode !== null) throw new Error(`It ended:\n${this.said}`);
  }

  /** Ends the whole group, and waits for all of it: npm is gone before what it started. */
  async stop(): Promise<void> {
    const signal = (name: NodeJS.Signals | 0) => {
      try {
        return process.kill(-(this.#child.pid ?? 0), name);
      } catch {
        return false;
      }
    };
    signal('SIGTERM');
    await this.#exited;
    await eventually(
      () => signal(0),
      (isThere) => !isThere,
      40_000,
    );
  }
}

function environment(more: Record<string, string> = {}): Record<string, string> {
  const PATH = [dirname(process.execPath), process.env.PATH].join(':');
  return { PATH, HOME: room.path, npm_config_update_notifier: 'false', ...more };
}

/** A block of the page as it runs here. */
function placed(named: string): string {
  let text = blocks.take(named);
  for (const [there, here] of places) text = text.replaceAll(there, here);
  return text;
}

async function done(command: string, cwd: string, env: Record<string, string> = {}): Promise<string> {
  const { ok, output } = await run('sh', ['-ec', command], { cwd, env: environment(env) });
  expect(ok, output).toBe(true);
  return output;
}

const inRollcall = () => join(room.path, 'rollcall');
const inApp = () => join(room.path, 'app');
const url = (name: string) => `http://${places.get(name)}`;

/** Makes of this folder an application that has installed what the page says, from what is installed here. */
async function install(command: string): Promise<void> {
  const modules = join(inApp(), 'node_modules');
  for (const line of command.trim().split('\n')) {
    const names = line
      .replace(/^npm install/, '')
      .split(' ')
      .filter((word) => word !== '' && !word.startsWith('--'));
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      if (name === '../rollcall/rollcall-*.tgz') {
        if (!existsSync(join(modules, 'rollcall'))) await buildClient(join(modules, 'rollcall'));
        continue;
      }
      await mkdir(dirname(join(modules, name)), { recursive: true });
      await symlink(join(root, 'node_modules', name), join(modules, name));
    }
  }
}

async function write(...files: string[]): Promise<void> {
  for (const file of files) await writeFile(join(inApp(), file), placed(file));
}

async function startRollcall(command: string): Promise<void> {
  rollcall = new Running(command, inRollcall());
  await rollcall.answers(`${url('localhost:3000')}/healthz`);
  // Web and worker start together, and a store that takes a second to answer counts as away for that look.
  await eventually(
    async () => (await fetch(`${url('localhost:3000')}/readyz`)).json(),
    ({ ready, reasons }) => ready === true && Object.keys(reasons).length === 0,
    20_000,
  );
}

/** A port that stays ours while nobody listens on it for minutes: others ask for higher ones. */
async function lowPort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 5000);
    if (await reservePort(port)) return port;
  }
}

beforeAll(async () => {
  room = await temporaryRoom('quickstart');
  stores = await openTestStores('quickstart');
  for (const port of [3000, 5173, 8080]) {
    const free = await lowPort();
    for (const host of ['localhost', '127.0.0.1']) places.set(`${host}:${port}`, `${host}:${free}`);
    places.set(`--port ${port}`, `--port ${free}`);
    places.set(`.listen(${port},`, `.listen(${free},`);
    places.set(`("127.0.0.1", ${port})`, `("127.0.0.1", ${free})`);
  }
  places.set('redis://127.0.0.1:6379', stores.redisUrl);
  places.set('postgres://rollcall:rollcall@127.0.0.1:5432/rollcall', stores.databaseUrl);
  await mkdir(inRollcall());
  await mkdir(join(inApp(), 'node_modules', '.bin'), { recursive: true });
  for (const name of OWN) await symlink(join(root, name), join(inRollcall(), name));
  await symlink(join(root, 'node_modules/vite/bin/vite.js'), join(inApp(), 'node_modules/.bin/vite'));
  await writeFile(join(inApp(), 'package.json'), '{ "type": "module" }');

  await done(placed('cat > .env'), inRollcall());
  const port = new URL(url('localhost:3000')).port;
  await appendFile(join(inRollcall(), '.env'), `PORT=${port}\nREDIS_PREFIX=${stores.redisPrefix}\n`);
  const [first, ...rest] = placed('npm start').trim().split('\n');
  // The modules that are there are those that it would bring.
  expect(first).toBe('npm ci');
  await done(rest.slice(0, -1).join('\n'), inRollcall());
  await startRollcall(rest.at(-1) ?? '');
  browser = await Chromium.start();
}, 180_000);

afterAll(async () => {
  await browser?.close();
  await Promise.all(running.map((command) => command.stop()));
  await stores?.close();
  await room?.remove();
}, 60_000);

const shows = (page: Page, pattern: RegExp) =>
  eventually(
    () => page.locator('body').textContent(),
    (text) => pattern.test(text ?? ''),
    20_000,
  );
const dots = (page: Page) =>
  page
    .locator('span')
    .evaluateAll((found) => found.map((dot) => (dot as unknown as { style: { color: string } }).style.color));

test('with a backend in Node and React: two windows show two green dots, and who closes hers goes offline for the other', async () => {
  await install(placed('npm install ../rollcall'));
  await write('backend.mjs');
  const backend = new Running(placed('node backend.mjs'), inApp());
  await backend.answers(url('localhost:8080'));
  await install(placed('socket.io-client react react-dom'));
  await write('main.jsx', 'index.html', 'vite.config.mjs');
  const vite = new Running(placed('npx vite --host'), inApp());
  await vite.answers(url('localhost:5173'));

  const ada = await browser.open(`${url('localhost:5173')}/?user=ada`);
  await shows(ada, /ada is online.*grace is offline/);
  expect(await dots(ada)).toEqual(['green', 'gray']);
  const grace = await browser.open(`${url('localhost:5173')}/?user=grace`);
  for (const page of [ada, grace]) {
    await shows(page, /ada is online.*grace is online/);
    expect(await dots(page)).toEqual(['green', 'green']);
  }
  await grace.close();
  await shows(ada, /grace is offline, last seen now/);
  expect(await dots(ada)).toEqual(['green', 'gray']);

  const secret = /^JWT_SECRET=(.*)$/m.exec(await readFile(join(inRollcall(), '.env'), 'utf8'))?.[1] ?? '';
  const { SignJWT } = await import('jose');
  const service = new SignJWT({ scope: 'presence:read' }).setProtectedHeader({ alg: 'HS256' }).setSubject('backend');
  const token = await service.setExpirationTime('1m').sign(new TextEncoder().encode(secret));
  const said = await done(placed('curl -H').replace('curl', 'curl -sS'), inApp(), { SERVICE_TOKEN: token });
  expect(JSON.parse(said)).toMatchObject({ userId: 'ada', status: 'active' });
  await ada.close();
  await vite.stop();
  await backend.stop();
});

test('with a backend in Python that has no library, and plain Socket.IO: the same', async () => {
  places.set('https://cdn.socket.io/4.8.1/socket.io.esm.min.js', '/socket.io.esm.min.js');
  await copyFile(
    join(root, 'node_modules/socket.io-client/dist/socket.io.esm.min.js'),
    join(inApp(), 'socket.io.esm.min.js'),
  );
  await write('backend.py', 'plain.html');
  const backend = new Running(placed('python3 backend.py'), inApp());
  await backend.answers(url('localhost:8080'));
  const ada = await browser.open(`${url('localhost:8080')}/plain.html?user=ada`);
  await shows(ada, /🟢 ada is online/);
  const grace = await browser.open(`${url('localhost:8080')}/plain.html?user=grace`);
  for (const page of [ada, grace]) {
    await shows(page, /🟢 ada is online/);
    await shows(page, /🟢 grace is online/);
  }
  await grace.close();
  await shows(ada, /⚪ grace is offline, last seen 20\d\d-/);
  await ada.close();
  await backend.stop();
});

test('behind nginx, page, tokens and presence have one name, and no other origin is needed', async () => {
  await rollcall.stop();
  await done(placed('cat >> .env'), inRollcall());
  const settings = join(inRollcall(), '.env');
  await writeFile(settings, (await readFile(settings, 'utf8')).replace(/^CORS_ORIGINS=.*\n/m, ''));
  await startRollcall('npm start');
  const secret = /^JWT_SECRET=(.*)$/m.exec(await readFile(settings, 'utf8'))?.[1] ?? '';
  const backend = new Running('node backend.mjs', inApp(), { JWT_SECRET: secret });
  await backend.answers(url('localhost:8080'));

  const port = await freePort();
  const name = `127.0.0.1:${port}`;
  places.set('https://app.example.com', `http://${name}`);
  places.set('listen 80;', `listen ${name};`);
  places.set('/srv/app/dist', join(inApp(), 'dist'));
  await done(placed('npx vite build'), inApp());
  const provided = await provideUnpacked(PROXY_PROGRAMS.nginx);
  if ('reason' in provided) throw new Error(provided.reason);
  const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${room.path}/${kind};`,
  );
  const types = 'types { text/html html; text/javascript js; }';
  const http = ['access_log off;', types, ...folders, placed('map $http_upgrade')].join('\n');
  const file = join(room.path, 'nginx.conf');
  await writeFile(file, `daemon off;\npid ${room.path}/nginx.pid;\nevents {}\nhttp {\n${http}}\n`);
  const nginx = new Running(`exec ${provided.command} -e stderr -c ${file}`, room.path, provided.env);
  await nginx.answers(`http://${name}/presence/healthz`);

  const ada = await browser.open(`http://${name}/?user=ada`);
  const grace = await browser.open(`http://${name}/?user=grace`);
  for (const page of [ada, grace]) await shows(page, /ada is online.*grace is online/);
  expect(await dots(grace)).toEqual(['green', 'green']);
  await Promise.all([ada.close(), grace.close()]);
});

test('there is no block on the page that was not run', () => {
  expect(blocks.left).toEqual([]);
});
