import { afterAll, beforeAll, expect, test } from 'vitest';
import webPush from 'web-push';
import { freePort } from '../../scripts/embedded/free-port.ts';
import { befriend } from '../support/alerts-world.ts';
import { TestClient } from '../support/client.ts';
import { Deployment, eventually, WebProgram } from '../support/deployment.ts';
import { PushService } from '../support/push-service.ts';
import { Chromium } from './chromium.ts';

let deployment: Deployment;
let web: WebProgram;
let browser: Chromium;
let pushes: PushService;

beforeAll(async () => {
  const { publicKey, privateKey } = webPush.generateVAPIDKeys();
  const env = {
    VAPID_PUBLIC_KEY: publicKey,
    VAPID_PRIVATE_KEY: privateKey,
    VAPID_SUBJECT: 'mailto:ops@example.com',
    PUSH_ALLOW_PRIVATE: 'true',
    ALERT_STABLE_SECONDS: '0.2',
  };
  pushes = await PushService.start();
  deployment = await Deployment.start('browser-push', { webs: 0, env });
  const port = await freePort();
  web = new WebProgram('scripts/demo-web.ts', { ...deployment.env, PORT: `${port}` }, `http://127.0.0.1:${port}`);
  deployment.webs.push(web);
  [browser] = await Promise.all([Chromium.start(), web.said(/"msg":"started"/)]);
  await browser.context.grantPermissions(['notifications'], { origin: web.url });
});
afterAll(async () => {
  await browser?.close();
  await deployment?.stop();
  await pushes?.close();
});

test('who chose to be notified on the demo page is shown that a friend came, although the page is closed', async () => {
  const listening = pushes.browser();
  // The browser's maker runs the only push service that it talks to, out of reach here: what it would bring is brought.
  await browser.context.addInitScript((subscription) => {
    PushManager.prototype.subscribe = async (options) => {
      sessionStorage.setItem('subscribed-with', String(options?.applicationServerKey));
      return { ...subscription, toJSON: () => subscription } as unknown as PushSubscription;
    };
  }, listening.subscription);
  const page = await browser.open(`${web.url}/`);
  await page.getByLabel('Your name').fill('Ada');
  await page.keyboard.press('Enter');
  await page.getByRole('status').getByText('live').waitFor();
  await page.getByRole('button', { name: 'Notify me' }).click();
  await page.getByRole('button', { name: 'Notified here' }).waitFor();
  expect(await page.evaluate(() => sessionStorage.getItem('subscribed-with'))).toBe(deployment.env.VAPID_PUBLIC_KEY);
  const [kept] = await deployment.db('push_subscriptions');
  const { user_id: asker } = kept;
  expect(kept.endpoint).toBe(listening.endpoint);

  await page.close();
  await befriend(deployment.db, asker, 'grace', 'once');
  await eventually(
    () => deployment.db('users').where({ id: asker }).first(),
    (row) => row?.status === 'inactive',
    20_000,
  );
  const grace = await TestClient.connect(web.url, 'grace', { token: await tokenOf('grace') });
  await eventually(
    () => listening.received.length,
    (count) => count === 1,
    20_000,
  );

  expect(browser.complaints).toEqual([]);

  // From here on it is the browser's affair: a page that is not the demo's, to see what is shown.
  const bare = await browser.open(`${web.url}/healthz`);
  await eventually(
    () => bare.evaluate(async () => (await navigator.serviceWorker.getRegistration('/'))?.active?.state ?? 'none yet'),
    (state) => state === 'activated',
    20_000,
  );
  const shown = await eventually(
    async () => {
      // Again where nothing came of it: a browser that has just started may lose a notification.
      await deliver(bare, JSON.stringify(listening.messages[0]));
      return bare.evaluate(async () => {
        const registration = await navigator.serviceWorker.getRegistration('/');
        const notifications = (await registration?.getNotifications()) ?? [];
        return notifications.map(({ title, tag }) => ({ title, tag }));
      });
    },
    (notifications) => notifications.length > 0,
    20_000,
  );
  expect(shown).toEqual([{ title: expect.stringMatching(/is active$/), tag: 'friend-active grace' }]);
  grace.leave();
});

async function tokenOf(userId: string): Promise<string> {
  const answer = await fetch(new URL('/demo/token', web.url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ userId }),
  });
  return (await answer.json()).token;
}

/** Hands a message to the page's service worker, as the browser does with one that it has decrypted. */
async function deliver(page: Awaited<ReturnType<Chromium['open']>>, data: string): Promise<void> {
  const session = await browser.context.newCDPSession(page);
  const registrationId = await new Promise<string>((resolve) => {
    session.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
      const [registration] = registrations;
      if (registration) resolve(registration.registrationId);
    });
    void session.send('ServiceWorker.enable');
  });
  await session.send('ServiceWorker.deliverPushMessage', { origin: web.url, registrationId, data });
  await session.detach();
}
