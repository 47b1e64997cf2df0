import { Queue } from 'bullmq';
import { TestClient } from './client.ts';
import { Deployment, eventually } from './deployment.ts';
import { LOCK } from './metrics.ts';
import { WebhookReceiver } from './webhook-receiver.ts';

/** Nobody has to beat. */
const LASTING = { PRESENCE_TTL_SECONDS: '600', HEARTBEAT_INTERVAL_SECONDS: '300' };
export const LONG_MS = 40_000;

/** A deployment whose webhooks go to a receiver that was told to begin. */
export class WebhookWorld {
  readonly receiver: WebhookReceiver;
  readonly rollcall: Deployment;
  readonly queue: Queue;
  readonly #here = new Map<string, TestClient>();

  private constructor(receiver: WebhookReceiver, rollcall: Deployment) {
    this.receiver = receiver;
    this.rollcall = rollcall;
    const { redis: connection } = rollcall;
    const prefix = rollcall.queuePrefix('webhooks');
    this.queue = new Queue('webhooks', { connection, prefix, skipVersionCheck: true });
  }

  static async start(name: string): Promise<WebhookWorld> {
    const receiver = await WebhookReceiver.start();
    const rollcall = await Deployment.start(name, { workers: 2, env: { ...LASTING, ...LOCK, ...receiver.env } });
    // The first word to a receiver that was never heard of: that it needs a snapshot.
    await eventually(
      () => receiver.taken.map(({ delivery }) => delivery.reset),
      (resets) => resets[0] === true,
      LONG_MS,
    );
    return new WebhookWorld(receiver, rollcall);
  }

  async stop(): Promise<void> {
    for (const client of this.#here.values()) client.leave();
    await this.queue.close();
    await this.rollcall.stop();
    await this.receiver.close();
  }

  async comes(userId: string): Promise<void> {
    this.#here.set(userId, await TestClient.connect(this.rollcall.url, userId, { watch: [] }));
  }

  goes(userId: string): void {
    this.#here.get(userId)?.leave();
    this.#here.delete(userId);
  }

  /** What the history has, by user and in order. */
  async transitions(): Promise<string[]> {
    const rows = await this.rollcall
      .db('status_transitions')
      .select('user_id', 'version')
      .orderBy(['user_id', 'version']);
    return rows.map((row) => `${row.user_id} ${row.version}`);
  }

  /** What the receiver has taken, by user and in the order in which it came. */
  get told(): string[] {
    return [...Map.groupBy(this.receiver.changes, (change) => change.userId)]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([userId, changes]) => changes.map(({ version }) => `${userId} ${version}`));
  }

  /** Resolves once everything the history has was told, each once and in order; and that is at least so much. */
  async allTold(atLeast: number): Promise<void> {
    await eventually(
      async () => ({ told: this.told, recorded: await this.transitions() }),
      ({ told, recorded }) => recorded.length >= atLeast && recorded.join() === told.join(),
      LONG_MS,
    );
  }

  async hearsOf(userId: string, changes: number) {
    return eventually(
      () => this.receiver.of(userId),
      (heard) => heard.length >= changes,
      LONG_MS,
    );
  }

  async isCalled(times: number): Promise<void> {
    await eventually(
      () => this.receiver.calls.length,
      (calls) => calls >= times,
      LONG_MS,
    );
  }
}
