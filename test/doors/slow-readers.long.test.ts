import { readFileSync } from 'node:fs';
import type { Socket as TcpSocket } from 'node:net';
import { afterAll, expect, test } from 'vitest';
import { publish } from '../../src/redis/delivery.ts';
import { createKeys } from '../../src/redis/keys.ts';
import { type Heard, TestClient } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';
import { LOCK, samplesOf, total } from '../support/metrics.ts';

const USERS = Array.from({ length: 20 }, (_, n) => `puppet-${n}`);
const SLOW = 20;
/** Of load, each of which changes twenty users: some 400 kB a second to each watcher, more than the kernel takes for a line. */
const ROUNDS = 300;
const ROUND_MS = 100;
/** Per slow reader: what may wait in the process, and as much again on its way to the transport. */
const BOUND_BYTES = 2 * 1024 * 1024;
/** Far longer than a detail can be, so that few packets make much to buffer. */
const DETAIL = { text: 'x'.repeat(2000) };
/** What the load itself costs while garbage waits to be collected. Unbounded, the slow would hold far more. */
const WORKING_BYTES = 128 * 1024 * 1024;
let rollcall: Deployment | undefined;

afterAll(() => rollcall?.stop());

/** Nothing is read any more from the line; it stays open. */
function stopReading(client: TestClient): void {
  const transport = client.socket.io.engine.transport as unknown as { ws: { _socket: TcpSocket } };
  transport.ws._socket.pause();
}

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

test('twenty clients that do not read for thirty seconds under load are closed, others hear all in time, and memory is bounded', async () => {
  rollcall = await Deployment.start('slow readers', { env: { ...CALM, ...LOCK, AUDIENCE: 'watchers' } });
  const { url, redis, prefix } = rollcall;
  const { pid } = rollcall.web(0);
  const good = await Promise.all([0, 1, 2].map((n) => TestClient.connect(url, `good-${n}`, { watch: USERS })));
  const slow = await Promise.all(
    Array.from({ length: SLOW }, (_, n) => TestClient.connect(url, `slow-${n}`, { watch: USERS })),
  );
  const before = residentBytes(pid);
  let peak = before;
  for (const client of slow) stopReading(client);

  const keys = createKeys(prefix, false);
  const begun = performance.now();
  const start = Date.now();
  let closedAfterMs = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const at = Date.now();
    const items = USERS.map((userId, n) => ({
      id: `${at}-${n}`,
      kind: 'change' as const,
      change: {
        userId,
        status: round % 2 ? 'active' : 'inactive',
        lastSeen: at,
        version: at,
        at,
        cause: 'connect',
        detail: DETAIL,
      } as const,
    }));
    await publish(redis, keys, { shard: 0, items });
    peak = Math.max(peak, residentBytes(pid));
    if (closedAfterMs === 0 && round % 10 === 9) {
      const closed = (await samplesOf(url)).get('rollcall_slow_readers_closed_total') ?? 0;
      if (closed === SLOW) closedAfterMs = Date.now() - start;
    }
    await new Promise((resolve) =>
      setTimeout(resolve, Math.max(0, (round + 1) * ROUND_MS - (performance.now() - begun))),
    );
  }
  await eventually(
    async () => total(await samplesOf(url), 'rollcall_slow_readers_closed_total'),
    (closed) => closed === SLOW,
    5000,
  );
  expect(total(await samplesOf(url), 'rollcall_connections')).toBe(good.length);
  for (const client of good) {
    await client.until(() => client.heard.length === ROUNDS * USERS.length || undefined, 'every change', 10_000);
  }
  const late = good.flatMap((client) => client.heard.map(latenessOf)).sort((a, b) => a - b);
  const p99 = late[Math.floor(late.length * 0.99)] ?? 0;
  console.log(
    `closed within ${closedAfterMs || 'more than the load'} ms; p99 to the others ${Math.round(p99)} ms; ` +
      `memory ${toMiB(before)} before, ${toMiB(peak)} at the most`,
  );
  // Generous for a busy machine; a web that waited for the slow would be late by half a minute.
  expect(p99).toBeLessThan(3000);
  expect(peak - before).toBeLessThan(SLOW * BOUND_BYTES + WORKING_BYTES);
  for (const client of [...good, ...slow]) client.leave();
}, 120_000);

/** Versions are the moment at which each change was made. */
const latenessOf = ({ version, heardAt }: Heard) => performance.timeOrigin + heardAt - version;
const toMiB = (bytes: number) => `${Math.round(bytes / 1024 / 1024)} MiB`;
