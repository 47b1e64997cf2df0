import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { TestClient } from '../support/client.ts';
import { addDemoWeb } from '../support/demo-web.ts';
import { CALM, Deployment, eventually, type WebProgram } from '../support/deployment.ts';
import { Chromium } from './chromium.ts';

let deployment: Deployment;
let web: WebProgram;
let browser: Chromium;

beforeAll(async () => {
  deployment = await Deployment.start('browser-documents', {
    webs: 0,
    env: { ...CALM, ADMIN_PASSWORD: 'for the test', ROOMS_OPEN: 'doc:' },
  });
  [browser, web] = await Promise.all([Chromium.start(), addDemoWeb(deployment)]);
});
afterEach(async () => {
  for (const page of browser.context.pages().slice(1)) await page.close();
  expect(browser.complaints.splice(0)).toEqual([]);
});
afterAll(async () => {
  await browser?.close();
  await deployment?.stop();
});

async function signIn(name: string) {
  const page = await browser.open(`${web.url}/`);
  await page.getByLabel('Your name').fill(name);
  await page.keyboard.press('Enter');
  await page.getByRole('status').getByText('live').waitFor();
  const document = (title: string) => page.locator('.document', { hasText: title });
  return {
    page,
    /** A page behind another is not drawn, and what is not drawn is not clicked. */
    async click(name: string): Promise<void> {
      await page.bringToFront();
      await page.getByRole('button', { name }).click();
    },
    says: (title: string, pattern: RegExp) =>
      eventually(
        () => document(title).textContent(),
        (text) => pattern.test(text ?? ''),
        15_000,
      ),
    faces: (title: string) => document(title).locator('.faces .avatar').allTextContents(),
  };
}

test('who reads a document is seen by all, with the page and since when; who appears inactive is not, and is told so', async () => {
  const [ada, grace] = [await signIn('Ada Lovelace'), await signIn('Grace Hopper')];
  await ada.says('Budget', /nobody/);
  await ada.click('Budget');
  await grace.says('Budget', /1 here/);
  await ada.click('Page 3');
  await grace.click('Budget');
  await grace.says('Budget', /2 here.*Ada Lovelacepage 3, since \d\d:\d\d.*Youpage 1, since/);
  expect(await grace.faces('Budget')).toEqual(['AL', 'GH']);

  await grace.click('Appear inactive');
  await ada.says('Budget', /1 here/);
  await grace.says('Budget', /1 here.*You appear inactive: the others here don’t see you/);
  await grace.click('Appear inactive');
  await ada.says('Budget', /2 here/);
  // Closed, it is left.
  await grace.click('Budget');
  await ada.says('Budget', /1 here/);
});

test('of many readers a few faces overlap and the others are a number, and the fullest documents are named', async () => {
  const readers = await Promise.all(
    Array.from({ length: 9 }, (_, n) => TestClient.connect(web.url, `reader.${n}`, { watch: [] })),
  );
  for (const [n, { socket }] of readers.entries()) {
    await socket.emitWithAck('join_room', { roomId: 'doc:launch', data: { page: 1 } });
    if (n < 3) await socket.emitWithAck('join_room', { roomId: 'doc:roadmap' });
  }
  const alan = await signIn('Alan Turing');
  await alan.says('Launch plan', /9 here/);
  expect(await alan.faces('Launch plan')).toEqual(['R0', 'R1', 'R2', 'R3', '+5']);
  await alan.page.getByText('fullest: Launch plan (9), Roadmap (3)').waitFor();
  const boxes = await alan.page
    .locator('.document', { hasText: 'Launch plan' })
    .locator('.faces .avatar')
    .evaluateAll((faces) => faces.map((face) => face.getBoundingClientRect().toJSON()));
  for (const [n, box] of boxes.slice(1).entries()) {
    expect(box.left).toBeLessThan(boxes[n].right);
    expect(box.left).toBeGreaterThan(boxes[n].left + 10);
  }
  for (const reader of readers) reader.leave();
  await alan.says('Launch plan', /nobody/);
});
