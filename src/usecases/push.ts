import { ECDH } from 'node:crypto';
import type { Config } from '../config/config.ts';
import { RollcallError } from '../errors.ts';
import { pushAddressProblem } from '../outbound-address.ts';
import { removeSubscription, saveSubscription } from '../postgres/push-subscriptions.ts';
import type { PushSubscriptionBody } from '../protocol/push.ts';
import type { Stores } from '../stores.ts';
import { orUnavailable } from './unavailable.ts';

/** Web Push as far as browsers subscribe to it; workers send. Throws UNAVAILABLE where PostgreSQL is away. */
export class Push {
  readonly #db: Stores['db'];
  readonly #config: Pick<Config, 'vapid' | 'pushAllowPrivate'>;

  constructor({ db }: Pick<Stores, 'db'>, config: Pick<Config, 'vapid' | 'pushAllowPrivate'>) {
    this.#db = db;
    this.#config = config;
  }

  /** The public key to which browsers subscribe. Throws NOT_FOUND where push is off. */
  publicKey(): string {
    if (this.#config.vapid === null) throw new RollcallError('NOT_FOUND', { message: 'Web Push is not set up here.' });
    return this.#config.vapid.publicKey;
  }

  /**
   * Checks what the shape of a subscription does not say: an address that may be called, and a key that is one. Throws
   * INVALID_REQUEST.
   */
  check({ endpoint, keys }: PushSubscriptionBody): void {
    const problem = pushAddressProblem(endpoint, this.#config.pushAllowPrivate);
    if (problem !== null) throw new RollcallError('INVALID_REQUEST', { message: `endpoint: ${problem}` });
    try {
      ECDH.convertKey(keys.p256dh, 'prime256v1', 'base64url');
    } catch {
      throw new RollcallError('INVALID_REQUEST', { message: 'keys.p256dh: a public key of the curve P-256' });
    }
  }

  /** Keeps a browser's subscription for the user, whoever had it before. */
  async subscribe(userId: string, { endpoint, keys }: PushSubscriptionBody): Promise<void> {
    const { p256dh, auth } = keys;
    // As the senders want it: without padding.
    const bare = (key: string) => key.replaceAll('=', '');
    await orUnavailable(() => saveSubscription(this.#db, userId, { endpoint, p256dh: bare(p256dh), auth: bare(auth) }));
  }

  /** Removes a browser's subscription of the user, also where push is off by now. */
  async unsubscribe(userId: string, endpoint: string): Promise<void> {
    await orUnavailable(() => removeSubscription(this.#db, userId, endpoint));
  }
}

export type PushApi = Pick<Push, keyof Push>;
