import { Queue } from 'bullmq';
import { verifyWebhook } from '../../src/backend/index.ts';
import { WebhookDelivery } from '../../src/protocol/changes.ts';
import { TestClient } from './client.ts';
import { Deployment, eventually } from './deployment.ts';
import { LOCK } from './metrics.ts';
import { WebhookReceiver } from './webhook-receiver.ts';

/** Nobody has to beat. */
const LASTING = { PRESENCE_TTL_SECONDS: '600', HEARTBEAT_INTERVAL_SECONDS: '300' };
export const LONG_MS = 40_000;

/** The second knows the secret from before it was rotated. */
const SECRETS = ['the secret that is to be used from now on', 'the secret that was used until now, still known'];
/** Whose users begin with this. */
export const VIP = 'vip-';

/**
 * A deployment whose webhooks go to a receiver that was told to begin, and of some users to another, too.
 */
export class WebhookWorld {
  readonly receiver: WebhookReceiver;
  readonly vip: WebhookReceiver;
  readonly rollcall: Deployment;
  readonly queue: Queue;
  readonly #here = new Map<string, TestClient>();

  private constructor(receiver: WebhookReceiver, vip: WebhookReceiver, rollcall: Deployment) {
    this.receiver = receiver;
    this.vip = vip;
    this.rollcall = rollcall;
    const { redis: connection } = rollcall;
    const prefix = rollcall.queuePrefix('webhooks');
    this.queue = new Queue('webhooks', { connection, prefix, skipVersionCheck: true });
  }

  static async start(name: string): Promise<WebhookWorld> {
    const receiver = await WebhookReceiver.start();
    const vip = await WebhookReceiver.start(async (headers, body) => {
      return WebhookDelivery.parse(await verifyWebhook({ headers, body, secret: SECRETS[1] ?? '' }));
    });
    const WEBHOOKS = JSON.stringify([{ name: 'vip', url: vip.url, secret: SECRETS, users: [VIP] }]);
    const env = { ...LASTING, ...LOCK, ...receiver.env, WEBHOOKS };
    const rollcall = await Deployment.start(name, { workers: 2, env });
    // The first word to a receiver that was never heard of: that it needs a snapshot.
    await eventually(
      () => [receiver, vip].map(({ taken: [first] }) => first?.delivery.reset),
      (resets) => resets.every((reset) => reset === true),
      LONG_MS,
    );
    return new WebhookWorld(receiver, vip, rollcall);
  }

  async stop(): Promise<void> {
    for (const client of this.#here.values()) client.leave();
    await this.queue.close();
    await this.rollcall.stop();
    await this.receiver.close();
    await this.vip.close();
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
