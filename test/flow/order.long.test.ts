import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Heard, isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';

let rollcall: Deployment;

beforeAll(async () => {
  rollcall = await Deployment.start('order', { webs: 2, env: CALM });
});
afterAll(() => rollcall?.stop());

/** Events and snapshots of one user as one connection got them, in order, and what a receiver makes of them. */
class Ledger {
  readonly client: TestClient;
  readonly userId: string;
  #version = -1;
  #status = 'unknown';
  /** Versions of the events alone. */
  readonly versions: number[] = [];

  constructor(client: TestClient, userId: string) {
    this.client = client;
    this.userId = userId;
    this.#take(client.ready?.users?.find((user) => user.userId === userId));
    // Events may have come in the same moment as the picture.
    for (const change of client.heard) this.#event(change);
    client.socket.on('user_status_change', (change) => this.#event(change));
    client.socket.on('user_status_changes', ({ changes }) => {
      for (const change of changes) this.#event(change);
    });
  }

  /** In the acknowledgement itself: a promise would let an event that follows go first. */
  watch(...others: string[]): Promise<void> {
    return new Promise((resolve) => {
      this.client.socket.emit('watch', { userIds: [this.userId, ...others] }, (answer) => {
        if (answer.ok) this.#take(answer.users.find((user) => user.userId === this.userId));
        resolve();
      });
    });
  }

  unwatch(): Promise<unknown> {
    return this.client.socket.emitWithAck('unwatch', { userIds: [this.userId] });
  }

  get state(): { version: number; status: string } {
    return { version: this.#version, status: this.#status };
  }

  /** Resolves once what a receiver knows fits; its events have come in order until then. */
  async reaches(fits: (state: { version: number; status: string }) => boolean): Promise<void> {
    await eventually(() => this.state, fits, 15_000);
    expect(this.versions).toEqual(this.versions.toSorted((a, b) => a - b));
  }

  #take(user: { version: number; status: string } | undefined): void {
    if (user) [this.#version, this.#status] = [user.version, user.status];
  }

  #event(change: Pick<Heard, 'userId' | 'version' | 'status'>): void {
    if (change.userId !== this.userId) return;
    this.versions.push(change.version);
    if (change.version > this.#version) this.#take(change);
  }
}

test('while a user flaps and watchers watch anew at any moment, versions never go back and all end with the truth', async () => {
  const url = (n: number) => rollcall.web(n % 2).url;
  const strangers = Array.from({ length: 300 }, (_, n) => `stranger-${n}`);
  const ledgers: Ledger[] = [];
  for (let n = 0; n < 8; n++) {
    const auth = n < 6 ? { watch: ['flap'], batch: n >= 4 } : { batch: n === 7 };
    ledgers.push(new Ledger(await TestClient.connect(url(n), `watcher-${n}`, auth), 'flap'));
  }
  const flapper = await TestClient.connect(url(0), 'flap');
  let flapping = true;
  const restless = ledgers.slice(0, 6).map(async (ledger, n) => {
    while (flapping) {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 40));
      if (n % 3 === 0) await ledger.watch();
      // Two at once: the answers cross with the events and with each other, for of strangers PostgreSQL is asked too.
      else if (n % 3 === 1) await Promise.all([ledger.watch(...strangers), ledger.watch()]);
      else await Promise.all([ledger.unwatch(), ledger.watch()]);
    }
    await ledger.watch();
  });
  for (let n = 0; n < 30; n++) {
    await flapper.socket.emitWithAck('set_status', { status: n % 2 === 0 ? 'inactive' : 'active' });
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 30));
  }
  await flapper.socket.emitWithAck('set_status', { status: 'inactive' });
  flapping = false;
  await Promise.all(restless);
  const witness = await TestClient.connect(url(1), 'witness', { watch: ['flap'] });
  const truth = witness.ready?.users?.[0];
  expect(truth).toMatchObject({ userId: 'flap', status: 'inactive' });
  for (const ledger of ledgers) {
    await ledger.reaches(({ version }) => version >= (truth?.version ?? 0));
    expect(ledger.state).toEqual({ version: truth?.version, status: 'inactive' });
  }
  // Those who never watched anew heard every change.
  expect(new Set(ledgers[6]?.versions).size).toBe(32);
  for (const { client } of ledgers) client.leave();
  for (const client of [flapper, witness]) client.leave();
});

test('between a snapshot and the first event after it nothing is lost, whatever goes on', async () => {
  const flappers = await Promise.all(
    Array.from({ length: 6 }, (_, n) => TestClient.connect(rollcall.web(n % 2).url, `gap-${n}`, { deviceId: 'one' })),
  );
  let going = true;
  const flaps = flappers.map(async (client, n) => {
    for (let turn = 0; going || turn % 2 === 1; turn++) {
      await client.socket.emitWithAck('set_status', { status: turn % 2 === 0 ? 'inactive' : 'active' });
      await new Promise((resolve) => setTimeout(resolve, n * 5));
    }
  });
  const token = await tokenFor('reader');
  const watchers: Ledger[] = [];
  for (let n = 0; n < 24; n++) {
    const client = await TestClient.connect(rollcall.web(n % 2).url, `late-${n}`, { watch: [`gap-${n % 6}`] });
    watchers.push(new Ledger(client, `gap-${n % 6}`));
  }
  going = false;
  await Promise.all(flaps);
  const { body } = await rest(rollcall.url, 'POST', '/users/status/query', {
    token,
    body: { userIds: flappers.map((_, n) => `gap-${n}`) },
  });
  expect(body.users.every((user: { status: string }) => user.status === 'active')).toBe(true);
  for (const ledger of watchers) {
    await ledger.reaches(({ status }) => status === 'active');
  }
  const final = await TestClient.connect(rollcall.url, 'final', { watch: flappers.map((_, n) => `gap-${n}`) });
  const versions = new Map(final.ready?.users?.map((user) => [user.userId, user.version]));
  for (const ledger of watchers) await ledger.reaches(({ version }) => version === versions.get(ledger.userId));
});

/** While it is held PostgreSQL answers nobody who asks for users, as on a bad day. */
async function slowPostgres(): Promise<{ isAskedAndWaits(): Promise<void>; answers(): Promise<void> }> {
  const lock = await rollcall.db.transaction();
  await lock.raw('LOCK TABLE users IN ACCESS EXCLUSIVE MODE');
  const waiting = () =>
    rollcall
      .db('pg_stat_activity')
      .whereRaw('datname = current_database()')
      .where({ wait_event_type: 'Lock' })
      .whereRaw("query LIKE '%FROM stored_users(%'");
  return {
    isAskedAndWaits: async () => {
      await eventually(waiting, (queries) => queries.length > 0);
    },
    answers: async () => {
      await lock.rollback();
    },
  };
}

test('of two watches at once the slower one, which saw less, does not bring the past back', async () => {
  const ledger = new Ledger(await TestClient.connect(rollcall.url, 'crossing-1', { watch: [] }), 'crossed');
  const witness = await TestClient.connect(rollcall.url, 'witness-1', { watch: ['crossed'] });
  (await TestClient.connect(rollcall.url, 'crossed')).leave();
  await witness.hears('crossed', isInactive);
  const postgres = await slowPostgres();
  const slow = ledger.watch('stranger-a');
  await postgres.isAskedAndWaits();
  await ledger.watch();
  const crossed = await TestClient.connect(rollcall.url, 'crossed');
  await witness.hears('crossed', isActive, { after: 2 });
  crossed.leave();
  await witness.hears('crossed', isInactive, { after: 3 });
  await postgres.answers();
  await slow;
  const newest = witness.of('crossed').at(-1)?.version;
  await ledger.reaches(({ version }) => version === newest);
  for (const client of [ledger.client, witness]) client.leave();
});

test('of two watches at once the slower one, which saw less, is told what it did not see', async () => {
  const ledger = new Ledger(await TestClient.connect(rollcall.url, 'crossing-2', { watch: [] }), 'unseen');
  const postgres = await slowPostgres();
  const slow = ledger.watch('stranger-b');
  await postgres.isAskedAndWaits();
  await postgres.answers();
  await slow;
  (await TestClient.connect(rollcall.url, 'unseen')).leave();
  await ledger.client.hears('unseen', isInactive);

  const again = await slowPostgres();
  const slower = ledger.watch('stranger-c');
  await again.isAskedAndWaits();
  // What happens now is seen by the quick watch, and told only after both were answered.
  rollcall.worker(0).kill('SIGSTOP');
  const unseen = await TestClient.connect(rollcall.url, 'unseen');
  await ledger.watch();
  expect(ledger.state.status).toBe('active');
  await again.answers();
  await slower;
  expect(ledger.state.status).toBe('inactive');
  rollcall.worker(0).kill('SIGCONT');
  await ledger.reaches(({ status }) => status === 'active');
  for (const client of [ledger.client, unseen]) client.leave();
});
