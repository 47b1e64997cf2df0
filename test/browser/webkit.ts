import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { freePort } from '../../scripts/embedded/free-port.ts';
import { guardProcess } from '../../scripts/embedded/guard.ts';
import { type ServerProcess, serverProcess, temporaryFolder } from '../../scripts/embedded/server-process.ts';
import type { Desk, Tab } from './desk.ts';

type TemporaryFolder = Awaited<ReturnType<typeof temporaryFolder>>;

const ENTER = '\uE007';
/** What WebDriver calls a reference to an element. */
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';
const ANSWER_LIMIT_MS = 60_000;
const SIZE = { width: 1300, height: 900 };

/** WebKitGTK's small browser, by W3C WebDriver. Each page has a window of its own. */
export class WebKit implements Desk {
  readonly complaints: readonly string[] = [];
  readonly #screen: ChildProcess;
  readonly #server: ServerProcess;
  readonly #home: TemporaryFolder;
  readonly #session: Session;

  private constructor(screen: ChildProcess, server: ServerProcess, home: TemporaryFolder, session: Session) {
    this.#screen = screen;
    this.#server = server;
    this.#home = home;
    this.#session = session;
  }

  /** `locale`: the machine's, such as `C.UTF-8`. */
  static async start(programs: { driver: string; screen: string }, locale: string): Promise<WebKit> {
    const home = await temporaryFolder('test-webkit');
    const { screen, display } = await startScreen(programs.screen);
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const path = home.path;
    const server = serverProcess({
      name: "WebKit's driver",
      command: programs.driver,
      args: ['--host=127.0.0.1', `--port=${port}`],
      options: {
        env: {
          PATH: process.env.PATH,
          HOME: path,
          TMPDIR: path,
          XDG_RUNTIME_DIR: path,
          DISPLAY: display,
          LANG: locale,
        },
      },
      stopSignal: 'SIGTERM',
      orphanSignal: 'SIGTERM',
      probe: async () => void (await ask(url, 'GET', '/status')),
    });
    await server.start();
    // Whatever is not of this machine goes to a port where nobody is.
    const proxy = { proxyType: 'manual', httpProxy: '127.0.0.1:9', sslProxy: '127.0.0.1:9', noProxy: ['127.0.0.1'] };
    const { sessionId } = await ask(url, 'POST', '/session', { capabilities: { alwaysMatch: { proxy } } });
    const session = `${url}/session/${sessionId}`;
    return new WebKit(screen, server, home, new Session(session, await ask(session, 'GET', '/window')));
  }

  async open(url: string): Promise<Tab> {
    const { handle } = await this.#session.open();
    const tab = tabOf(this.#session, handle);
    await tab.show();
    await tab.goto(url);
    return tab;
  }

  async close(): Promise<void> {
    await this.#session.end();
    await this.#server.shutdown();
    const exited = once(this.#screen, 'exit');
    this.#screen.kill('SIGTERM');
    await exited;
    await this.#home.remove();
  }
}

/** A session has one current window at a time, so that commands to several wait for each other. */
class Session {
  readonly #url: string;
  /** Stays open, for without any window there is nothing to open others from. */
  readonly #first: string;
  #last: Promise<unknown> = Promise.resolve();

  constructor(url: string, first: string) {
    this.#url = url;
    this.#first = first;
  }

  open(): Promise<{ handle: string }> {
    return this.in(this.#first, 'POST', '/window/new', { type: 'window' });
  }

  end(): Promise<unknown> {
    return this.#afterwards(() => ask(this.#url, 'DELETE', ''));
  }

  in(handle: string, method: string, path: string, body?: object): Promise<Value> {
    return this.#afterwards(async () => {
      await ask(this.#url, 'POST', '/window', { handle });
      return ask(this.#url, method, path, body);
    });
  }

  #afterwards(act: () => Promise<Value>): Promise<Value> {
    const done = this.#last.then(act);
    this.#last = done.catch(() => {});
    return done;
  }
}

function tabOf(session: Session, handle: string): Tab {
  const call = (method: string, path: string, body: object = {}) => session.in(handle, method, path, body);
  return {
    goto: (url) => call('POST', '/url', { url }),
    back: () => call('POST', '/back'),
    reload: () => call('POST', '/refresh'),
    evaluate: (inPage, ...given) =>
      call('POST', '/execute/sync', { script: `return (${inPage}).apply(null, arguments)`, args: given }),
    async type(selector, text) {
      const element = await call('POST', '/element', { using: 'css selector', value: selector });
      await call('POST', `/element/${element[ELEMENT]}/value`, { text: text.replaceAll('\n', ENTER) });
    },
    hide: () => call('POST', '/window/minimize'),
    show: () => call('POST', '/window/rect', { x: 0, y: 0, ...SIZE }),
    screenshot: async (path) => writeFile(path, await session.in(handle, 'GET', '/screenshot'), 'base64'),
    close: () => session.in(handle, 'DELETE', '/window'),
  };
}

// biome-ignore lint/suspicious/noExplicitAny: whatever the driver answers.
type Value = any;

async function ask(url: string, method: string, path: string, body?: object): Promise<Value> {
  const what = `WebDriver ${method} ${path}`;
  const signal = AbortSignal.timeout(ANSWER_LIMIT_MS);
  const answer = await fetch(`${url}${path}`, {
    method,
    signal,
    ...(body ? { body: JSON.stringify(body) } : {}),
  }).catch((cause) => {
    throw new Error(`${what} was not answered`, { cause });
  });
  const { value } = (await answer.json()) as { value: Value };
  if (!answer.ok) throw new Error(`${what}: ${value.error}: ${value.message}`);
  return value;
}

/** A screen that nobody else has, and only programs of this machine reach. */
async function startScreen(program: string): Promise<{ screen: ChildProcess; display: string }> {
  const size = `${SIZE.width}x${SIZE.height}x24`;
  // It chooses a number and says it once. Without `-noreset` it would again, whenever the last program has left it.
  const args = ['-noreset', '-displayfd', '1', '-screen', '0', size, '-nolisten', 'tcp'];
  const screen = spawn(program, args, { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  const release = screen.pid ? guardProcess(screen.pid, 'SIGTERM') : () => {};
  screen.once('exit', release);
  const number = await new Promise((resolve, reject) => {
    screen.stdout.on('data', resolve);
    screen.once('error', reject);
    screen.once('exit', () => reject(new Error('Xvfb ended before it was ready.')));
  });
  return { screen, display: `:${`${number}`.trim()}` };
}
