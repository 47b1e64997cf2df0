import { createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { text } from 'node:stream/consumers';
import { freePort } from '../../scripts/embedded/free-port.ts';
import { type FeedChange, type FeedRoomChange, WebhookDelivery } from '../../src/protocol/changes.ts';

export const WEBHOOK_SECRET = 'a webhook secret that only the tests know of';
/** How a receiver makes certain who sent it what; throws where it is not. */
type Verify = (headers: IncomingHttpHeaders, body: string) => WebhookDelivery | Promise<WebhookDelivery>;
const TOLERANCE_SECONDS = 300;

/** How it answers a call: with a status, after a while, or (null) never. */
export type Reaction = { status: number; headers?: Record<string, string>; afterMs?: number } | null;

/** A call as it came, whether or not it was taken. */
export interface Call {
  delivery: WebhookDelivery;
  /** performance.now() */
  at: number;
  status: number | null;
}

/** A small backend that keeps its own view of who is active, as the documentation says it should. */
export class WebhookReceiver {
  readonly port: number;
  readonly calls: Call[] = [];
  readonly view = new Map<string, FeedChange>();
  /** For the next calls, in order; after that `standing`. */
  reactions: Reaction[] = [];
  standing: Reaction = { status: 204 };
  /** How many changes at once are not too large for it. */
  most = Number.POSITIVE_INFINITY;
  /** The most calls that were open at once. */
  mostAtOnce = 0;
  #open = 0;
  #server: Server | null = null;

  readonly #verify: Verify;

  private constructor(port: number, verify: Verify) {
    this.port = port;
    this.#verify = verify;
  }

  static async start(verify: Verify = verified): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver(await freePort(), verify);
    await receiver.open();
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/hooks?for=presence`;
  }

  get env(): Record<string, string> {
    return { WEBHOOK_URL: this.url, WEBHOOK_SECRET };
  }

  /** It answers again, at the same address. */
  async open(): Promise<void> {
    this.#server = createServer((request, response) => {
      this.#take(request, response).catch((error) => response.writeHead(401).end(String(error)));
    });
    this.#server.listen(this.port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  /** It is dead: nobody listens there any more. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    server?.closeAllConnections();
    if (server) await new Promise((resolve) => server.close(resolve));
  }

  get taken(): Call[] {
    return this.calls.filter(({ status }) => status !== null && status < 300);
  }

  /** What it was told of, in the order in which it took it. */
  get changes(): FeedChange[] {
    return this.taken.flatMap(({ delivery }) => delivery.changes.filter(isOfUser));
  }

  /** What it was told of rooms. */
  get rooms(): FeedRoomChange[] {
    return this.taken.flatMap(({ delivery }) => delivery.changes.filter((change) => 'type' in change));
  }

  of(userId: string): FeedChange[] {
    return this.changes.filter((change) => change.userId === userId);
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#open);
    response.once('close', () => this.#open--);
    const delivery = await this.#verify(request.headers, await text(request));
    const { method, headers } = request;
    if (method !== 'POST' || headers['content-type'] !== 'application/json') throw new Error('not what was announced');
    if (headers['rollcall-delivery'] !== delivery.id) throw new Error('another delivery');
    if (headers['webhook-id'] !== delivery.id) throw new Error('another webhook-id');
    const usual = delivery.changes.length > this.most ? { status: 413 } : this.standing;
    const reaction = this.reactions.length > 0 ? this.reactions.shift() : usual;
    this.calls.push({ delivery, at: performance.now(), status: reaction?.status ?? null });
    if (!reaction) return;
    if (reaction.status < 300) this.#apply(delivery);
    if (reaction.afterMs) await new Promise((resolve) => setTimeout(resolve, reaction.afterMs));
    response.writeHead(reaction.status, reaction.headers).end();
  }

  #apply({ changes }: WebhookDelivery): void {
    for (const change of changes.filter(isOfUser)) {
      const known = this.view.get(change.userId);
      if (!known || change.version > known.version) this.view.set(change.userId, change);
    }
  }
}

/** Whether an entry of the change feed is of a user; else it is of a room. */
export function isOfUser(change: FeedChange | FeedRoomChange): change is FeedChange {
  return !('type' in change);
}

/** The body, once it is certain who sent it and when. */
function verified(headers: IncomingHttpHeaders, body: string): WebhookDelivery {
  const timestamp = String(headers['rollcall-timestamp']);
  const expected = createHmac('sha256', WEBHOOK_SECRET).update(`${timestamp}.${body}`).digest();
  const [, hex = ''] = /^v1=([0-9a-f]{64})$/.exec(String(headers['rollcall-signature'])) ?? [];
  const given = Buffer.from(hex, 'hex');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw new Error('a wrong signature');
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE_SECONDS) throw new Error('an old signature');
  return WebhookDelivery.parse(JSON.parse(body));
}
