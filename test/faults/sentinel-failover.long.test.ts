import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EmbeddedRedis } from '../../scripts/embedded/stores.ts';
import { isActive, isInactive, rest } from '../support/client.ts';
import { eventually } from '../support/eventually.ts';
import { SentinelWorld, TTL_MS } from '../support/sentinel-world.ts';

/** After a failover the webs tell of their beats before anybody is expired. */
const HOLD_MS = 6000;
/** What the contract allows beside a deadline, and as much again for a busy machine. */
const GRACE_MS = 4000;

let world: SentinelWorld;
beforeAll(async () => {
  world = await SentinelWorld.open('failover by sentinels');
}, 120_000);
afterAll(() => world?.close());

interface Way {
  go(primary: EmbeddedRedis): Promise<void>;
  /** As a replica; what hung or was killed must not undo anything. */
  comeBack(old: EmbeddedRedis): Promise<void>;
  /** The Sentinel of the same machine goes with it. */
  takesSentinel?: boolean;
}

const WAYS: Record<string, Way> = {
  'is told to give way': { go: () => world.sentinels.order(), comeBack: async () => {} },
  'hangs and wakes up later': { go: (primary) => primary.kill('SIGSTOP'), comeBack: (old) => old.kill('SIGCONT') },
  'is killed with the Sentinel beside it': {
    go: (primary) => primary.kill('SIGKILL'),
    comeBack: (old) => old.start(),
    takesSentinel: true,
  },
};

test.each(Object.entries(WAYS))(
  'a primary that %s: who is here stays, who leaves or falls silent is told, and all goes on',
  async (how, { go, comeBack, takesSentinel }) => {
    const { sentinels, rollcall } = world;
    const away = takesSentinel ? sentinels.sentinels.slice(0, 1) : [];
    const name = (who: string) => `${who}-${how.replaceAll(' ', '_')}`;
    const [leaves, silent, newcomer] = [name('leaves'), name('silent'), name('newcomer')];
    const staying = Array.from({ length: 6 }, (_, n) => name(`stays-${n}`));
    const watcher = await world.watcher([...staying, leaves, silent, newcomer]);
    const people = new Map(
      await Promise.all(
        [...staying, leaves, silent].map(async (id, n) => [id, await world.person(id, n % 2)] as const),
      ),
    );
    for (const id of people.keys()) await watcher.hears(id, isActive);
    const questions = await world.questions(staying[0] ?? '', 'active');
    const ledger = world.ledger();
    await delay(500);

    const before = await sentinels.primary();
    for (const sentinel of away) await sentinel.kill('SIGKILL');
    await go(before);
    people.get(silent)?.quiet();
    people.get(leaves)?.client.leave();
    // Somebody tries to come all the while.
    const comes = eventually(
      () => world.person(newcomer).catch(() => null),
      (person) => person !== null,
      60_000,
    );
    await sentinels.takenOver(before, away);
    await world.ready();
    const back = performance.now();
    await comes;
    await watcher.hears(newcomer, isActive);

    for (const id of [leaves, silent]) {
      const gone = await watcher.hears(id, isInactive, { withinMs: TTL_MS + HOLD_MS + GRACE_MS });
      expect(gone.heardAt - back, id).toBeLessThan(TTL_MS + HOLD_MS + GRACE_MS);
    }
    await Promise.all([comeBack(before), ...away.map((sentinel) => sentinel.start())]);
    await sentinels.settled();
    await delay(2 * TTL_MS);
    expect(await questions.stop()).toEqual([]);
    for (const id of [...staying, newcomer]) {
      expect(
        watcher.statuses(id).filter((status) => status === 'inactive'),
        id,
      ).toEqual([]);
      expect((await world.status(id)).body, id).toMatchObject({ status: 'active' });
    }
    for (const id of [leaves, silent]) {
      expect(watcher.statuses(id).at(-1), id).toBe('inactive');
      expect((await world.status(id)).body, id).toMatchObject({ status: 'inactive' });
      // The queues go on: it is recorded too.
      await eventually(
        () => rollcall.db('users').where({ id }).first(),
        (row) => row?.status === 'inactive',
      );
    }
    for (const id of people.keys()) {
      const versions = watcher.of(id).map(({ version }) => version);
      expect(versions, id).toEqual([...versions].sort((a, b) => a - b));
    }
    const losses = await ledger.close();
    console.log(`A primary that ${how}:`, losses);
    // Without listening to the Sentinels it would be some eleven seconds.
    expect(losses.lostForMs).toBeLessThan(5000);
    for (const { client } of people.values()) client.leave();
    expect(rollcall.faults).toEqual([]);
    // Nothing of the library's own wording.
    for (const { lines } of [...rollcall.webs, ...rollcall.workers]) {
      expect(lines.filter((line) => !line.startsWith('{'))).toEqual([]);
      // The settings are right.
      expect(lines.filter((line) => /REDIS_SENTINEL/.test(line))).toEqual([]);
    }
  },
  180_000,
);

test('a primary whose writes need a replica and has none is away until one is back, and nobody is told inactive for it', async () => {
  const strict = await SentinelWorld.open('replicas to write', {
    configuration: ['min-replicas-to-write 1', 'min-replicas-max-lag 10'],
  });
  try {
    const { sentinels, rollcall } = strict;
    const people = ['stays-0', 'stays-1', 'silent'];
    const watcher = await strict.watcher(people);
    const [, , silent] = await Promise.all(people.map((id, n) => strict.person(id, n % 2)));
    for (const id of people) await watcher.hears(id, isActive);
    const primary = await sentinels.primary();
    const replicas = sentinels.servers.filter((server) => server !== primary);
    await Promise.all(replicas.map((server) => server.kill('SIGKILL')));
    silent?.quiet();
    for (const { url } of rollcall.webs) {
      await eventually(
        () => rest(url, 'GET', '/readyz'),
        ({ status, body }) => status === 503 && /NOREPLICAS/.test(body.reasons.redis ?? ''),
        20_000,
      );
    }
    expect(await strict.status('stays-0')).toMatchObject({ status: 503, body: { code: 'UNAVAILABLE' } });
    await delay(2 * TTL_MS);
    expect(watcher.statuses('silent'), 'nobody is expired meanwhile').not.toContain('inactive');
    await replicas[0]?.start();
    await strict.ready();
    await watcher.hears('silent', isInactive, { withinMs: TTL_MS + HOLD_MS + GRACE_MS });
    await delay(2 * TTL_MS);
    for (const id of ['stays-0', 'stays-1']) {
      expect(watcher.statuses(id), id).not.toContain('inactive');
      expect((await strict.status(id)).body).toMatchObject({ status: 'active' });
    }
    expect(rollcall.faults).toEqual([]);
  } finally {
    await strict.close();
  }
}, 180_000);
