import { Agent as HttpAgent, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import webPush from 'web-push';
import type { Config } from '../src/config/config.ts';
import { lookupPublic, PrivateAddressError, pushAddressProblem } from '../src/outbound-address.ts';
import type { PushSubscription } from '../src/postgres/push-subscriptions.ts';
import type { PushMessage } from '../src/protocol/push.ts';
import { type HostBehaviour, PROMPT_MS } from '../src/redis/push-places.ts';
import { retryAfterMs } from './retry-after.ts';

/** How long a push service keeps a message for a browser that is not there: nobody wants to hear of it later. */
export const PUSH_TTL_SECONDS = 600;
const LIMIT_MS = 5000;

/**
 * `later`: worth another try, not before `retryAfterMs` where the push service said so. `gone`: the subscription has
 * ended. `refused`: it will never be taken.
 */
export type PushOutcome =
  | { kind: 'sent' }
  | { kind: 'gone' }
  | { kind: 'refused'; reason: string }
  | { kind: 'later'; reason: string; retryAfterMs: number | null };

/** What became of a try, what it says of the push service, and how long (ms) it waited for it. */
export interface PushTry {
  outcome: PushOutcome;
  behaviour: HostBehaviour;
  tookMs: number;
}

export interface PushOptions {
  vapid: NonNullable<Config['vapid']>;
  allowPrivate: boolean;
  /** Of messages with one topic, a browser that was away gets the last. */
  topic: string;
  /** For all of the call. */
  limitMs?: number;
}

const agents = {
  http: new HttpAgent({ keepAlive: true }),
  https: new HttpsAgent({ keepAlive: true }),
};

/** Encrypts a message for one browser (RFC 8291) and hands it to its push service (RFC 8030, RFC 8292). */
export async function sendPush(
  { endpoint, p256dh, auth }: PushSubscription,
  message: PushMessage,
  { vapid, allowPrivate, topic, limitMs = LIMIT_MS }: PushOptions,
): Promise<PushTry> {
  const problem = pushAddressProblem(endpoint, allowPrivate);
  if (problem !== null) return notSent(`The address of the subscription ${problem}`);
  let details: ReturnType<typeof webPush.generateRequestDetails>;
  try {
    details = webPush.generateRequestDetails({ endpoint, keys: { p256dh, auth } }, JSON.stringify(message), {
      vapidDetails: vapid,
      TTL: PUSH_TTL_SECONDS,
      topic,
      contentEncoding: 'aes128gcm',
    });
  } catch {
    return notSent('The keys of the subscription are no keys');
  }
  const url = new URL(endpoint);
  const begun = performance.now();
  const took = () => performance.now() - begun;
  try {
    const { status, retryAfter } = await post(url, details, { allowPrivate, limitMs });
    return { outcome: outcomeOf(url, status, retryAfter), behaviour: 'answered', tookMs: took() };
  } catch (error) {
    if (error instanceof PrivateAddressError) return notSent(error.message);
    const reason = `${url.host} cannot be reached: ${error instanceof Error ? error.message : String(error)}`;
    const tookMs = took();
    // Who refuses a connection does so at once, and holds up nobody.
    const behaviour = tookMs > PROMPT_MS ? 'silent' : 'unknown';
    return { outcome: { kind: 'later', reason, retryAfterMs: null }, behaviour, tookMs };
  }
}

const notSent = (reason: string): PushTry => ({
  outcome: { kind: 'refused', reason },
  behaviour: 'unknown',
  tookMs: 0,
});

function outcomeOf(url: URL, status: number, retryAfter: string | undefined): PushOutcome {
  if (status >= 200 && status < 300) return { kind: 'sent' };
  if (status === 404 || status === 410) return { kind: 'gone' };
  const reason = `${url.host} answered ${status}`;
  if (status !== 429 && status !== 408 && status < 500) return { kind: 'refused', reason };
  return { kind: 'later', reason, retryAfterMs: retryAfterMs(retryAfter) };
}

/** Redirects are not followed: the address was looked at, what it would lead to was not. */
function post(
  url: URL,
  { headers, body }: Pick<ReturnType<typeof webPush.generateRequestDetails>, 'headers' | 'body'>,
  { allowPrivate, limitMs }: { allowPrivate: boolean; limitMs: number },
): Promise<{ status: number; retryAfter: string | undefined }> {
  return new Promise((resolve, reject) => {
    const secure = url.protocol === 'https:';
    const options = {
      method: 'POST',
      headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)])),
      agent: secure ? agents.https : agents.http,
      signal: AbortSignal.timeout(limitMs),
      ...(allowPrivate ? {} : { lookup: lookupPublic }),
    };
    const call = (secure ? requestHttps : requestHttp)(url, options, (response) => {
      // What it says beside the status is of no use; the time limit holds for it too.
      response.on('error', () => {}).resume();
      resolve({ status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'] });
    });
    call.on('error', reject);
    call.end(body);
  });
}
