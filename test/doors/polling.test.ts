import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestClient, tokenFor } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';

let rollcall: Deployment;
beforeAll(async () => {
  rollcall = await Deployment.start('polling', { env: { AUDIENCE: 'watchers' } });
});
afterAll(async () => {
  const faults = rollcall?.faults;
  await rollcall?.stop();
  expect(faults).toEqual([]);
});

const BETWEEN = '\x1e';
const CLOSE = '1';

/** A connection that polls by plain requests. */
class Poller {
  readonly packets: string[] = [];
  readonly #url: URL;

  static async open(url: string, userId: string, token: Record<string, unknown> = {}): Promise<Poller> {
    const address = new URL('/socket.io/?EIO=4&transport=polling', url);
    const opened = await (await fetch(address)).text();
    address.searchParams.set('sid', JSON.parse(opened.slice(1)).sid);
    const poller = new Poller(address);
    await poller.post([`40${JSON.stringify({ token: await tokenFor(userId, token) })}`]);
    while (!poller.packets.some((packet) => packet.startsWith('42["ready"'))) await poller.poll();
    return poller;
  }

  private constructor(url: URL) {
    this.#url = url;
  }

  async post(packets: string[]): Promise<number> {
    return (await fetch(this.#url, { method: 'POST', body: packets.join(BETWEEN) })).status;
  }

  /** Fetches what has been said to it; returns the status, and keeps what was said or why nothing was. */
  async poll(): Promise<number> {
    const answer = await fetch(this.#url);
    this.packets.push(...(await answer.text()).split(BETWEEN));
    return answer.status;
  }

  /** Polls until it is refused; returns what it was told from now on. */
  async toTheEnd(): Promise<string[]> {
    const from = this.packets.length;
    await eventually(
      () => this.poll(),
      (status) => status !== 200,
      30_000,
    );
    return this.packets.slice(from);
  }
}

const closedFor = (reason: string) => expect.stringContaining(`"reason":"${reason}","reconnect":true`);

test('whoever polls and is sent away for a flood has its requests answered, hears why, and then is unknown: what it shall come back from is no close', async () => {
  const poller = await Poller.open(rollcall.url, 'flood');
  const beats = Array.from({ length: 3000 }, () => '42["heartbeat",{}]');
  // The poll is under way before the flood and after it.
  const [told, status] = await Promise.all([poller.toTheEnd(), poller.post(beats)]);
  expect(status).toBe(200);
  expect(told).toContainEqual(closedFor('rate_limited'));
  expect(told).not.toContain(CLOSE);
  expect(JSON.parse(told.at(-1) ?? '')).toMatchObject({ message: 'Session ID unknown' });
});

test('whoever polls hears why also where it fetches only after it was closed', async () => {
  const poller = await Poller.open(rollcall.url, 'late');
  expect(await poller.post(Array.from({ length: 3000 }, () => '42["heartbeat",{}]'))).toBe(200);
  const told = await poller.toTheEnd();
  expect(told).toContainEqual(closedFor('rate_limited'));
  expect(told).not.toContain(CLOSE);
});

test("Socket.IO's own client takes it as a loss too, and means to come back", async () => {
  const token = await tokenFor('own-client');
  const options = { transports: ['polling'], reconnection: true };
  const client = await new TestClient(rollcall.url, { token }, options).welcomed();
  for (let beats = 0; beats < 3000; beats++) client.socket.emit('heartbeat', {}, () => {});
  expect(await client.isClosed()).toMatchObject({ reason: 'rate_limited', reconnect: true });
  await client.isDisconnected();
  expect(client.socket.active).toBe(true);
  client.leave();
});

test('whoever polls and is signed out is told to stay away, by a close', async () => {
  const poller = await Poller.open(rollcall.url, 'leaver');
  const polled = poller.toTheEnd();
  expect(await poller.post(['42["logout",{}]'])).toBe(200);
  const told = await polled;
  expect(told).toContainEqual(expect.stringContaining('"reason":"logout","reconnect":false'));
  expect(told).toContain(CLOSE);
});
