import { createDecipheriv, createECDH, hkdfSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { importJWK, type JWTPayload, jwtVerify } from 'jose';
import { freePort } from '../../scripts/embedded/free-port.ts';

/** How the service answers a call: with a status, after a while, or (null) never. */
export type Reaction = { status: number; headers?: Record<string, string>; afterMs?: number } | null;

/** One message as a browser got it. */
export interface Received {
  message: unknown;
  ttl: string | undefined;
  topic: string | undefined;
  urgency: string | undefined;
  /** Who says they sent it, once their signature was checked. */
  claims: JWTPayload;
  applicationServerKey: string;
  /** performance.now() */
  at: number;
}

/** Calls of one or more push services. */
export class Traffic {
  calls = 0;
  /** The most that were open at once. A call that was given up is open until its server has heard of that. */
  mostAtOnce = 0;
  #open = 0;

  begins(response: ServerResponse): void {
    this.calls++;
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#open);
    response.once('close', () => this.#open--);
  }
}

/** A small push service (RFC 8030) with the browsers that listen to it. */
export class PushService {
  readonly port: number;
  readonly traffic: Traffic;
  /** How it answers calls to browsers that have no reaction of their own. */
  standing: Reaction = { status: 201 };
  readonly #browsers = new Map<string, Browser>();
  #server: Server | null = null;

  private constructor(port: number, traffic: Traffic) {
    this.port = port;
    this.traffic = traffic;
  }

  static async start(traffic = new Traffic()): Promise<PushService> {
    const service = new PushService(await freePort(), traffic);
    await service.open();
    return service;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** It answers again, at the same address. */
  async open(): Promise<void> {
    this.#server = createServer((request, response) => {
      this.#take(request, response).catch((error) => response.writeHead(400).end(String(error)));
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

  /** A browser that has just subscribed. */
  browser(): Browser {
    const browser = new Browser(`${this.origin}/listen/${randomBytes(12).toString('base64url')}`);
    this.#browsers.set(new URL(browser.endpoint).pathname, browser);
    return browser;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.traffic.begins(response);
    const browser = this.#browsers.get(request.url ?? '');
    const body = await buffer(request);
    if (!browser || request.method !== 'POST') {
      response.writeHead(404).end();
      return;
    }
    browser.calledAt.push(performance.now());
    const reaction = browser.reactions.length > 0 ? browser.reactions.shift() : this.standing;
    if (!reaction) return;
    // Only what was taken reaches the browser.
    if (reaction.status < 300) browser.received.push(await receive(browser, request, body, this.origin));
    if (reaction.afterMs) await new Promise((resolve) => setTimeout(resolve, reaction.afterMs));
    response.writeHead(reaction.status, reaction.headers).end();
  }
}

/** The browser's side of a subscription: its keys never leave it. */
export class Browser {
  readonly endpoint: string;
  readonly received: Received[] = [];
  /** For the next calls, in order; after that the service's usual one. */
  reactions: Reaction[] = [];
  /** performance.now() of each call, taken or not. */
  readonly calledAt: number[] = [];
  readonly #pair = createECDH('prime256v1');
  readonly #auth = randomBytes(16);

  constructor(endpoint: string) {
    this.endpoint = endpoint;
    this.#pair.generateKeys();
  }

  /** As `PushSubscription.toJSON()` gives it. */
  get subscription() {
    const keys = { p256dh: this.#pair.getPublicKey().toString('base64url'), auth: this.#auth.toString('base64url') };
    return { endpoint: this.endpoint, expirationTime: null, keys };
  }

  get calls(): number {
    return this.calledAt.length;
  }

  get messages(): unknown[] {
    return this.received.map(({ message }) => message);
  }

  /** RFC 8291 on top of RFC 8188, in one record. */
  decrypt(body: Buffer): unknown {
    const salt = body.subarray(0, 16);
    const recordSize = body.readUInt32BE(16);
    const keyLength = body.readUInt8(20);
    const sender = body.subarray(21, 21 + keyLength);
    const record = body.subarray(21 + keyLength);
    if (record.length > recordSize) throw new Error('more than one record');
    const info = Buffer.concat([Buffer.from('WebPush: info\0'), this.#pair.getPublicKey(), sender]);
    const secret = hkdfSync('sha256', this.#pair.computeSecret(sender), this.#auth, info, 32);
    const derive = (name: string, bytes: number) =>
      Buffer.from(hkdfSync('sha256', Buffer.from(secret), salt, Buffer.from(`Content-Encoding: ${name}\0`), bytes));
    const decipher = createDecipheriv('aes-128-gcm', derive('aes128gcm', 16), derive('nonce', 12));
    decipher.setAuthTag(record.subarray(-16));
    const padded = Buffer.concat([decipher.update(record.subarray(0, -16)), decipher.final()]);
    // Of the last record: the content, a 2, and any number of zeros.
    const end = padded.lastIndexOf(2);
    if (end < 0 || padded.subarray(end + 1).some((byte) => byte !== 0)) throw new Error('badly padded');
    return JSON.parse(padded.subarray(0, end).toString());
  }
}

/** Checks what a push service checks (RFC 8030, RFC 8292) and hands the message to the browser. */
async function receive(
  browser: Browser,
  { headers }: IncomingMessage,
  body: Buffer,
  origin: string,
): Promise<Received> {
  if (headers['content-encoding'] !== 'aes128gcm') throw new Error(`encoding ${headers['content-encoding']}`);
  const [, token = '', applicationServerKey = ''] =
    /^vapid t=([^,]+), ?k=([\w-]+)$/.exec(headers.authorization ?? '') ?? [];
  const point = Buffer.from(applicationServerKey, 'base64url');
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((half) => half.toString('base64url'));
  const key = await importJWK({ kty: 'EC', crv: 'P-256', x: x ?? '', y: y ?? '' }, 'ES256');
  const { payload: claims } = await jwtVerify(token, key, { algorithms: ['ES256'], audience: origin });
  const { exp = Number.POSITIVE_INFINITY } = claims;
  if (exp * 1000 - Date.now() > 24 * 3600_000) throw new Error('valid for too long');
  return {
    message: browser.decrypt(body),
    ttl: headers.ttl?.toString(),
    topic: headers.topic?.toString(),
    urgency: headers.urgency?.toString(),
    claims,
    applicationServerKey,
    at: performance.now(),
  };
}
