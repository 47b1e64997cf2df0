import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CALM, Deployment } from '../support/deployment.ts';
import { Chromium } from './chromium.ts';
import type {} from './pages/plain.ts';
import { Site } from './site.ts';

let deployment: Deployment;
let site: Site;
let browser: Chromium;

beforeAll(async () => {
  const env = { ...CALM, CORS_ORIGINS: 'https://app.example.com' };
  [deployment, site, browser] = await Promise.all([
    Deployment.start('browser-origins', { env, workers: 0 }),
    Site.build([fileURLToPath(new URL('./pages/plain.ts', import.meta.url))]),
    Chromium.start(),
  ]);
});
afterAll(async () => {
  await Promise.all([browser?.close(), site?.close()]);
  await deployment?.stop();
});

/** What a page says went wrong, first. */
async function firstError(server: string): Promise<string> {
  const page = await browser.open(site.page('plain', { server, user: 'ada' }));
  await page.waitForFunction(() => window.errors.length > 0);
  return page.evaluate(() => `${window.location.origin} ${window.errors[0]}`);
}

test('a page whose origin the server does not know is told so, and by which setting', async () => {
  expect(await firstError(deployment.url)).toMatch(
    /^(\S+) NOT_CONNECTED: \S+ takes no WebSocket: CORS_ORIGINS without \1\?$/,
  );
});

test('a page whose server is not there is told that, not to look at origins', async () => {
  // Nobody listens on the port for discarding.
  expect(await firstError('http://127.0.0.1:9')).toMatch(/NOT_CONNECTED: \S+ does not answer$/);
});
