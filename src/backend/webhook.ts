import { hmacKey } from './hmac.ts';
import { RollcallError } from './rollcall-error.ts';
import type { WebhookDelivery } from './types.ts';

export interface ReceivedWebhook {
  /** A `Headers` object, or Node's plain one. */
  headers: { get(name: string): string | null } | Record<string, string | string[] | undefined>;
  /** As it came, before any parsing. */
  body: string | Uint8Array;
  /** Rollcall's WEBHOOK_SECRET, or the `secret` of one of its WEBHOOKS; several while it is rotated. */
  secret: string | readonly string[];
  /** How far the sender's clock may be from this one's; 300 by default. */
  toleranceSeconds?: number | undefined;
}

const MINUTES_5 = 300;
const utf8 = new TextEncoder();

type Bytes = Uint8Array<ArrayBuffer>;

/**
 * What a webhook says, once it is sure that Rollcall sent it, and lately. Rejects with a `RollcallError` of the code
 * `INVALID_SIGNATURE`: answer 401 then; with a TypeError where no secret is given. Of the secrets that both sides have, one in common is enough.
 */
export async function verifyWebhook(received: ReceivedWebhook): Promise<WebhookDelivery> {
  const { headers, body, secret, toleranceSeconds = MINUTES_5 } = received;
  const timestamp = headerOf(headers, 'rollcall-timestamp');
  const hex = /^v1=([0-9a-f]{64})$/.exec(headerOf(headers, 'rollcall-signature'))?.[1];
  if (hex === undefined) throw refused('it has no signature in Rollcall-Signature');
  if (!/^\d{1,15}$/.test(timestamp)) throw refused('it has no time in Rollcall-Timestamp');
  if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) < toleranceSeconds)) throw refused('it is of another time');
  const text = typeof body === 'string' ? body : new TextDecoder().decode(body);
  const signature = Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
  const signed = utf8.encode(`${timestamp}.${text}`);
  // Of the secrets that the sender has, the first alone signed that; each signed this.
  const signedByAll = utf8.encode(`${headerOf(headers, 'webhook-id')}.${timestamp}.${text}`);
  const standard = headerOf(headers, 'webhook-signature').split(' ').flatMap(bytesOfStandard);
  for (const one of [secret].flat()) {
    // In JavaScript it may be an environment variable that is not set.
    if (!one) throw new TypeError('The secret is needed by which Rollcall signs: its WEBHOOK_SECRET.');
    if (await isSigned(utf8.encode(one), [signature], signed)) return JSON.parse(text);
    if (await isSigned(standardKey(one), standard, signedByAll)) return JSON.parse(text);
  }
  throw refused('its signature is of another secret, or the body was changed on its way');
}

/** In constant time. */
async function isSigned(secret: Bytes, signatures: readonly Bytes[], signed: Bytes): Promise<boolean> {
  if (signatures.length === 0) return false;
  const key = await hmacKey(secret, 'verify');
  for (const signature of signatures) if (await crypto.subtle.verify('HMAC', key, signature, signed)) return true;
  return false;
}

/** What is written `whsec_…` is the key in base64; of any other secret it is the text itself. */
function standardKey(secret: string): Bytes {
  const [, key] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret) ?? [];
  return key === undefined ? utf8.encode(secret) : bytesOfBase64(key);
}

function bytesOfStandard(signature: string): Bytes[] {
  const [, base64] = /^v1,([A-Za-z0-9+/]{43}=)$/.exec(signature) ?? [];
  return base64 === undefined ? [] : [bytesOfBase64(base64)];
}

function bytesOfBase64(base64: string): Bytes {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

function refused(why: string): RollcallError {
  return new RollcallError('INVALID_SIGNATURE', `The webhook was not taken: ${why}.`);
}

function headerOf(headers: ReceivedWebhook['headers'], name: string): string {
  if (typeof headers.get === 'function') return headers.get(name) ?? '';
  // Some hand on the names as they came.
  const value = Object.entries(headers).find(([one]) => one.toLowerCase() === name)?.[1];
  return typeof value === 'string' ? value : '';
}
