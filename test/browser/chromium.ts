import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { findChromium } from '../../scripts/embedded/chromium.ts';
import { guardProcess } from '../../scripts/embedded/guard.ts';
import { temporaryFolder } from '../../scripts/embedded/server-process.ts';

type TemporaryFolder = Awaited<ReturnType<typeof temporaryFolder>>;

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  // What an ordinary browser does to tabs that were hidden for minutes, after a second: timers run once a minute.
  '--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/1',
  '--remote-debugging-port=0',
];

/**
 * A Chromium that behaves as on a person's desk: tabs of one window, of which one is visible. Playwright's own start
 * would keep all of them visible and their timers unthrottled, so it only joins here.
 */
export class Chromium {
  readonly #process: ChildProcess;
  readonly #browser: Browser;
  readonly #profile: TemporaryFolder;
  readonly context: BrowserContext;
  /** What the pages complained about. */
  readonly complaints: string[] = [];

  private constructor(process: ChildProcess, browser: Browser, profile: TemporaryFolder, context: BrowserContext) {
    this.#process = process;
    this.#browser = browser;
    this.#profile = profile;
    this.context = context;
  }

  static async start(): Promise<Chromium> {
    const program = findChromium();
    if (!program) throw new Error('There is no Chromium on the PATH.');
    const profile = await temporaryFolder('test-chromium');
    const args = [...FLAGS, `--user-data-dir=${profile.path}`, 'about:blank'];
    // In a group of its own, which ends with this process however that ends.
    const process = spawn(program, args, { detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
    const release = process.pid ? guardProcess(process.pid, 'SIGTERM') : () => {};
    process.once('exit', release);
    const address = await devToolsAddress(process);
    const browser = await chromium.connectOverCDP(address, { noDefaults: true });
    const context = browser.contexts()[0];
    if (!context) throw new Error('Chromium has no window.');
    return new Chromium(process, browser, profile, context);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** A new tab, which hides the one before. */
  async open(url: string): Promise<Page> {
    const page = await this.context.newPage();
    page.on('pageerror', (error) => this.complaints.push(`${url}: ${error.message}`));
    page.on('console', (message) => {
      if (message.type() === 'error') this.complaints.push(`${url}: ${message.text()} (${message.location().url})`);
    });
    await page.goto(url);
    return page;
  }

  async freeze(page: Page, frozen: boolean): Promise<void> {
    const session = await this.context.newCDPSession(page);
    await session.send('Page.setWebLifecycleState', { state: frozen ? 'frozen' : 'active' });
    await session.detach();
  }

  async close(): Promise<void> {
    const exited = once(this.#process, 'exit');
    await this.#browser.close().catch(() => {});
    this.#process.kill('SIGTERM');
    await exited;
    await this.#profile.remove();
  }
}

async function devToolsAddress(process: ChildProcess): Promise<string> {
  let said = '';
  for await (const chunk of process.stderr ?? []) {
    said += chunk;
    const address = /DevTools listening on (ws:\S+)/.exec(said)?.[1];
    if (!address) continue;
    // Goes on being read, or a talkative browser would come to a halt.
    process.stderr?.resume();
    return address;
  }
  throw new Error(`Chromium ended before it was ready:\n${said}`);
}
