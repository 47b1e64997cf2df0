import type { Knex } from 'knex';
import type { FriendActive } from '../../src/protocol/socket.ts';
import { TestClient } from './client.ts';

export type Alert = 'never' | 'once' | 'always';

/** Makes two users friends; `asker` wants to hear of `friend`. */
export async function befriend(db: Knex, asker: string, friend: string, alert: Alert): Promise<void> {
  await db('friendships')
    .insert([
      { user_id: asker, friend_id: friend, alert },
      { user_id: friend, friend_id: asker },
    ])
    .onConflict(['user_id', 'friend_id'])
    .merge(['alert']);
}

export async function alertOf(db: Knex, asker: string, friend: string): Promise<Alert> {
  return (await db('friendships').where({ user_id: asker, friend_id: friend }).first()).alert;
}

/** A device that keeps the alerts it was sent. */
export class Listener {
  readonly client: TestClient;
  readonly alerts: FriendActive[] = [];

  private constructor(client: TestClient) {
    this.client = client;
    client.socket.on('friend_active', (alert) => this.alerts.push(alert));
  }

  static async connect(url: string, userId: string, auth: Record<string, unknown> = {}): Promise<Listener> {
    // What comes right behind `ready` is heard too: it is a message of its own, and listeners are there by then.
    return new Listener(await TestClient.connect(url, userId, { watch: [], ...auth }));
  }

  /** Of whom it was told, in order. */
  get heardOf(): string[] {
    return this.alerts.map((alert) => alert.userId);
  }
}
