import { afterAll, expect, test } from 'vitest';
import { freePort } from '../../scripts/embedded/free-port.ts';
import { Crowds } from '../../scripts/people/crowds.ts';
import { type Balancer, balance } from '../support/balancer.ts';
import { isInactive, TestClient } from '../support/client.ts';
import { Deployment, eventually, JWT_SECRET } from '../support/deployment.ts';
import { LOCK, samplesOf, total } from '../support/metrics.ts';

const USERS = 2000;
const WATCHED_EACH = 1000;
const HANDOVER_MS = 15_000;
let rollcall: Deployment | undefined;
let crowds: Crowds | undefined;
let balancer: Balancer | undefined;

afterAll(async () => {
  crowds?.disperse();
  await balancer?.close();
  await rollcall?.stop();
});

test('three webs are restarted one after the other under two thousand people, and nobody is told that anybody left', async () => {
  const metricsPort = await freePort();
  // All times are the defaults.
  rollcall = await Deployment.start('rolling restart', {
    webs: 4,
    workers: 0,
    env: { AUDIENCE: 'watchers', ...LOCK },
  });
  await rollcall.addWorker({ METRICS_PORT: String(metricsPort) });
  const workerUrl = `http://127.0.0.1:${metricsPort}`;
  // One web stays, for those who watch everything without a break.
  const [stays, ...restarted] = rollcall.webs;
  balancer = await balance(restarted.map((web) => web.url));
  crowds = await Crowds.gather(balancer.url, JWT_SECRET, USERS);
  const { userIds } = crowds;
  const watchers: TestClient[] = [];
  for (let n = 0; n < USERS; n += WATCHED_EACH) {
    const watch = userIds.slice(n, n + WATCHED_EACH);
    watchers.push(await TestClient.connect(stays?.url ?? '', `watcher-${n}`, { watch, heartbeat: 'pong' }));
  }
  for (const watcher of watchers) {
    expect(watcher.ready?.users?.filter((user) => user.status !== 'active')).toEqual([]);
  }
  await crowds.report();

  for (const [n, web] of restarted.entries()) {
    const held = total(await samplesOf(web.url), 'rollcall_sessions');
    expect(held).toBeGreaterThan(USERS / 10);
    const from = Date.now();
    web.kill('SIGTERM');
    expect(await web.exited).toEqual({ code: 0, signal: null });
    const exitedAfterMs = Date.now() - from;
    expect(exitedAfterMs).toBeLessThan(25_000);
    await rollcall.addWeb({ PORT: new URL(web.url).port });
    const returns: number[] = [];
    await eventually(
      async () => {
        const report = await crowds?.report();
        expect(report?.seenInactive).toBe(0);
        returns.push(...(report?.returns ?? []).map((at) => at - from));
        return report?.connected;
      },
      (connected) => connected === USERS,
      30_000,
    );
    console.log(
      `web ${n}: ${held} sessions, gone after ${exitedAfterMs} ms, its people back after\n${histogram(returns)}`,
    );
    expect(returns.length).toBeGreaterThanOrEqual(held);
    expect(Math.max(...returns)).toBeLessThan(HANDOVER_MS);
    // Those of our own client are spread over half of the handover; the plain ones come when they like.
    expect(returns.filter((ms) => ms > HANDOVER_MS / 4).length).toBeGreaterThan(held / 8);
  }

  // Whoever had not come back in time would be expired by now.
  await new Promise((resolve) => setTimeout(resolve, HANDOVER_MS + 2000));
  for (const watcher of watchers) expect(watcher.heard.filter(isInactive)).toEqual([]);
  const { connected, seenInactive } = await crowds.report();
  expect({ connected, seenInactive }).toEqual({ connected: USERS, seenInactive: 0 });
  const counted = await samplesOf(workerUrl);
  expect(total(counted, 'rollcall_false_inactive_total')).toBe(0);
  expect(counted.get('rollcall_transitions_total{cause="handover"}')).toBe(0);
  expect(rollcall.faults).toEqual([]);
  for (const watcher of watchers) watcher.leave();
}, 240_000);

/** Seconds after the signal, and how many were back in each. */
function histogram(returns: number[]): string {
  const seconds = Map.groupBy(returns, (ms) => Math.floor(ms / 1000));
  const lines = [...seconds].sort(([a], [b]) => a - b);
  return lines.map(([second, all]) => `  ${String(second).padStart(2)} s ${all.length}`).join('\n');
}
