import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestClient } from '../support/client.ts';
import { CALM, Deployment } from '../support/deployment.ts';
import { LOSSES, missAndCatchUp, webBehindLink } from '../support/resync.ts';

/** As long as changes are kept for webs that lag behind: by then they may be there still, or only just not. */
const LOSS_MS = 30_000;
/** Where they are not, that is noticed within two seconds, and all is told anew two seconds later; and as much again for a busy machine. */
const CAUGHT_UP_MS = 8000;
let rollcall: Deployment;

beforeAll(async () => {
  rollcall = await Deployment.start('long resync', { env: { ...CALM, AUDIENCE: 'watchers' } });
});
afterAll(() => rollcall?.stop());

test.each(LOSSES)(
  'a web that lost Redis for thirty seconds (%s) gives each of its watchers what they missed, by itself',
  async (loss) => {
    const { web, link } = await webBehindLink(rollcall);
    const clients: TestClient[] = [];
    const connect = async (userId: string, url = rollcall.url, auth = {}) => {
      const client = await TestClient.connect(url, userId, auth);
      clients.push(client);
      return client;
    };
    try {
      const watcher = await connect(`watcher-${loss}`, web.url, { watch: [] });
      const caughtUpMs = await missAndCatchUp({ rollcall, link, watcher, connect }, loss, LOSS_MS);
      console.log(`caught up ${Math.round(caughtUpMs)} ms after the mending (${loss})`);
      expect(caughtUpMs).toBeLessThan(CAUGHT_UP_MS);
    } finally {
      for (const client of clients) client.leave();
      await link.close();
      await web.end();
    }
  },
);
