import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { guardProcess } from '../../scripts/embedded/guard.ts';
import { temporaryFolder } from '../../scripts/embedded/server-process.ts';
import type { Desk, Tab } from './desk.ts';

type TemporaryFolder = Awaited<ReturnType<typeof temporaryFolder>>;

/** Firefox's own settings for automation, which end its calls home, come to these by themselves. */
const settings = (folder: string) => ({
  'app.normandy.enabled': false,
  'app.update.disabledForTesting': true,
  'browser.download.dir': folder,
  'browser.download.folderList': 2,
  'browser.safebrowsing.downloads.enabled': false,
  'browser.safebrowsing.malware.enabled': false,
  'browser.safebrowsing.phishing.enabled': false,
  'browser.search.update': false,
  'datareporting.healthreport.uploadEnabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'dom.push.connection.enabled': false,
  'extensions.update.enabled': false,
  'media.gmp-manager.updateEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'network.dns.disablePrefetch': true,
  'toolkit.telemetry.unified': false,
  // Whatever is not of this machine goes to a port where nobody is.
  'network.proxy.type': 1,
  'network.proxy.http': '127.0.0.1',
  'network.proxy.http_port': 9,
  'network.proxy.ssl': '127.0.0.1',
  'network.proxy.ssl_port': 9,
});

/** Puppeteer's own start would set what makes tabs behave as they do on no desk, so it only joins here. */
export class Firefox implements Desk {
  readonly #process: ChildProcess;
  readonly #browser: Browser;
  readonly #profile: TemporaryFolder;
  readonly complaints: string[] = [];

  private constructor(process: ChildProcess, browser: Browser, profile: TemporaryFolder) {
    this.#process = process;
    this.#browser = browser;
    this.#profile = profile;
  }

  static async start(program: string): Promise<Firefox> {
    const profile = await temporaryFolder('test-firefox');
    const lines = Object.entries(settings(profile.path)).map(
      (entry) => `user_pref(${JSON.stringify(entry).slice(1, -1)});`,
    );
    await writeFile(join(profile.path, 'user.js'), lines.join('\n'));
    const args = ['--headless', '--no-remote', '--profile', profile.path, '--remote-debugging-port=0', 'about:blank'];
    // In a group of its own, which ends with this process however that ends.
    const child = spawn(program, args, {
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, HOME: profile.path },
    });
    const release = child.pid ? guardProcess(child.pid, 'SIGTERM') : () => {};
    child.once('exit', release);
    const address = await remoteAddress(child);
    const browser = await puppeteer.connect({
      browserWSEndpoint: `${address}/session`,
      protocol: 'webDriverBiDi',
      defaultViewport: null,
    });
    return new Firefox(child, browser, profile);
  }

  async open(url: string): Promise<Tab> {
    const page = await this.#browser.newPage();
    page.on('pageerror', (error) => this.complaints.push(`${url}: ${error}`));
    await page.goto(url);
    return tabOf(page, this.#browser);
  }

  async close(): Promise<void> {
    const exited = once(this.#process, 'exit');
    await this.#browser.disconnect();
    this.#process.kill('SIGTERM');
    await exited;
    await this.#profile.remove();
  }
}

function tabOf(page: Page, browser: Browser): Tab {
  let cover: Page | undefined;
  return {
    goto: async (url) => void (await page.goto(url)),
    // Out of the cache a page does not load, which Puppeteer's own way would wait for.
    back: () => page.evaluate(() => void setTimeout(() => history.back())),
    reload: async () => void (await page.reload()),
    evaluate: (inPage, ...given) => (page as unknown as Pick<Tab, 'evaluate'>).evaluate(inPage, ...given),
    async type(selector, text) {
      await page.focus(selector);
      await page.keyboard.type(text);
    },
    async hide() {
      cover = await browser.newPage();
      await cover.bringToFront();
    },
    async show() {
      await page.bringToFront();
      await cover?.close();
    },
    screenshot: async (path) => void (await page.screenshot({ path: path as `${string}.png` })),
    close: () => page.close(),
  };
}

function remoteAddress(child: ChildProcess): Promise<string> {
  let said = '';
  return new Promise((resolve, reject) => {
    // Goes on being read, or a talkative browser would come to a halt.
    child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk;
      const [, address] = /WebDriver BiDi listening on (ws:\S+)/.exec(said) ?? [];
      if (address) resolve(address);
    });
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`Firefox ended before it was ready:\n${said}`)));
  });
}
