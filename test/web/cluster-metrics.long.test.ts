import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { AggregatorRegistry, type MetricObject } from 'prom-client';
import { afterEach, expect, test } from 'vitest';
import { createRegistry } from '../../src/telemetry/metrics.ts';
import { eventually } from '../support/eventually.ts';
import { Cluster } from './cluster-run.ts';

const entry = fileURLToPath(new URL('./metrics-process.ts', import.meta.url));
const opened: Cluster[] = [];
afterEach(async () => {
  for (const { primary, exited } of opened.splice(0)) {
    primary.kill('SIGKILL');
    await exited;
  }
});

const EVENT_LOOP = /^rollcall_nodejs_eventloop_lag(_[a-z0-9]+)?_seconds /;

/** Every sample without labels by its name, from the machine of the process at this port. */
async function scrape(port = 0): Promise<Map<string, number>> {
  return samples(await (await fetch(`http://127.0.0.1:${port}/`)).text());
}

function samples(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => /^[a-z0-9_]+ /.test(line));
  return new Map(lines.map((line) => [line.split(' ')[0] ?? '', Number(line.split(' ')[1])]));
}

test('what a machine says of its event loops is what the slowest of its processes says', async () => {
  const one = createRegistry();
  const other = createRegistry();
  const measured: MetricObject[][] = [];
  for (const registry of [one, other]) {
    // The two never measure the same: the second has been at work for longer.
    await delay(120);
    measured.push((await registry.getMetricsAsJSON()) as unknown as MetricObject[]);
  }
  const own = await Promise.all(measured.map((metrics) => AggregatorRegistry.aggregate([metrics] as never).metrics()));
  const together = samples(await AggregatorRegistry.aggregate(measured as never).metrics());
  const names = (own[0] ?? '').split('\n').filter((line) => EVENT_LOOP.test(line));
  expect(names.length).toBeGreaterThanOrEqual(8);
  for (const name of names.map((line) => line.split(' ')[0] ?? '')) {
    const values = own.map((text) => samples(text).get(name) ?? Number.NaN);
    expect([name, together.get(name)]).toEqual([name, Math.max(...values)]);
  }
});

test('a process too busy to answer a scrape counts as it did before, and how long it was busy is told once it answers again', async () => {
  const web = new Cluster(entry);
  opened.push(web);
  const [asked, busy] = await web.said('listening', 2);
  expect((await scrape(asked?.port)).get('events_total')).toBe(2);
  const lag = async () => (await scrape(asked?.port)).get('rollcall_nodejs_eventloop_lag_max_seconds') ?? 0;
  let longest = 0;
  // Node notes no delay that begins within the twentieth of a second after its figures were read.
  for (let rounds = 0; rounds < 5 && longest < 1.5; rounds++) {
    await delay(200);
    process.kill(busy?.pid ?? 0, 'SIGSTOP');
    try {
      expect((await scrape(asked?.port)).get('events_total')).toBe(2);
    } finally {
      process.kill(busy?.pid ?? 0, 'SIGCONT');
    }
    longest = await eventually(lag, (found) => found >= 1.5, 2000).catch(() => 0);
  }
  expect(longest).toBeGreaterThanOrEqual(1.5);
  expect((await scrape(asked?.port)).get('events_total')).toBe(2);
});
