import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CALM, Deployment, eventually } from '../support/deployment.ts';
import type { Desk, Tab } from './desk.ts';
import { OTHERS } from './others.ts';
import type {} from './pages/plain.ts';
import { Site } from './site.ts';

/** The client's longest pause, which the client guide promises, and what it then takes all these tabs to be let in on a busy machine. */
const BACK_WITHIN_MS = 15_000 + 8000;
/** Browsers hold connections back for all tabs together. */
const TABS = 3;

let deployment: Deployment;
let site: Site;
const browsers: Desk[] = [];
const tabs: [user: string, tab: Tab][] = [];

beforeAll(async () => {
  [deployment, site] = await Promise.all([
    Deployment.start('browsers-outage', { env: { ...CALM, CORS_ORIGINS: '*' } }),
    Site.build([fileURLToPath(new URL('./pages/plain.ts', import.meta.url))]),
  ]);
  for (const [name, start] of OTHERS) {
    const browser = await start();
    browsers.push(browser);
    for (let n = 1; n <= TABS; n++) {
      const user = `${name}-${n}`;
      tabs.push([user, await browser.open(site.page('plain', { server: deployment.url, user }))]);
    }
  }
}, 180_000);
afterAll(async () => {
  await Promise.all([...browsers.map((browser) => browser.close()), site?.close()]);
  await deployment?.stop();
});

async function state(): Promise<Record<string, string>> {
  const found = tabs.map(async ([user, tab]) => [
    user,
    await tab.evaluate(() => window.client.connection.get().status),
  ]);
  return Object.fromEntries(await Promise.all(found));
}

const are = (status: string) => (states: Record<string, string>) =>
  Object.values(states).every((one) => one === status);

const pause = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

describe.skipIf(OTHERS.length === 0)(`${OTHERS.map(([name]) => name).join(' and ')}, with ${TABS} tabs`, () => {
  test('are back within 15 s after a server that was gone for 150 s', async () => {
    await eventually(state, are('connected'), 20_000);
    const { port } = new URL(deployment.url);
    await deployment.web(0).end();
    deployment.webs.shift();
    await pause(150);
    expect(await state()).toSatisfy(are('reconnecting'));
    await deployment.addWeb({ PORT: port });
    await eventually(state, are('connected'), BACK_WITHIN_MS);
  });

  test('are back within 15 s after a server that took connections and said nothing for 60 s', async () => {
    await eventually(state, are('connected'), 20_000);
    process.kill(deployment.web(0).pid, 'SIGSTOP');
    await pause(60);
    expect(await state()).toSatisfy(are('reconnecting'));
    process.kill(deployment.web(0).pid, 'SIGCONT');
    await eventually(state, are('connected'), BACK_WITHIN_MS);
  });
});
