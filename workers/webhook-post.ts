import { createHmac } from 'node:crypto';
import type { WebhookSettings } from '../src/config/webhook-settings.ts';
import type { WebhookDelivery } from '../src/protocol/changes.ts';
import { retryAfterMs } from './retry-after.ts';

/** The receiver has ten seconds, and is not to pay for the way there and back. */
const LIMIT_MS = 10_500;
/** What says of this batch that it will never be taken. All else (a wrong secret, a wrong address) somebody will mend. */
const REFUSED = new Set([410, 413, 422]);
const TOO_LARGE = 413;

export type WebhookOutcome =
  | { kind: 'taken' }
  | { kind: 'refused'; reason: string; retryAfterMs: null; tooLarge: boolean }
  | { kind: 'later'; reason: string; retryAfterMs: number | null };

/** Posts one signed batch. The answer's status is all that counts; redirects are not followed. */
export async function postWebhook(
  { url, secrets }: Pick<WebhookSettings, 'url' | 'secrets'>,
  delivery: WebhookDelivery,
): Promise<WebhookOutcome> {
  const body = JSON.stringify(delivery);
  const timestamp = Math.floor(Date.now() / 1000).toString();
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'user-agent': 'Rollcall',
        'rollcall-delivery': delivery.id,
        'rollcall-timestamp': timestamp,
        'rollcall-signature': `v1=${signatureOf(secrets[0] ?? '', `${timestamp}.${body}`)}`,
        'webhook-id': delivery.id,
        'webhook-timestamp': timestamp,
        'webhook-signature': standardSignature(secrets, `${delivery.id}.${timestamp}.${body}`),
      },
      body,
      redirect: 'manual',
      signal: AbortSignal.timeout(LIMIT_MS),
    });
    // What it says beside the status is of no use.
    await response.body?.cancel().catch(() => {});
    return outcomeOf(response);
  } catch (error) {
    return { kind: 'later', reason: `The receiver cannot be reached: ${reasonOf(error)}`, retryAfterMs: null };
  }
}

function signatureOf(secret: string, signed: string): string {
  return createHmac('sha256', secret).update(signed).digest('hex');
}

/** As Standard Webhooks has it: a signature with each secret, so that the receiver may know any of them. */
function standardSignature(secrets: readonly string[], signed: string): string {
  return secrets
    .map((secret) => `v1,${createHmac('sha256', standardKey(secret)).update(signed).digest('base64')}`)
    .join(' ');
}

/** What is written `whsec_…` is the key in base64; of any other secret it is the text itself. */
function standardKey(secret: string): Buffer {
  const [, key] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret) ?? [];
  return key === undefined ? Buffer.from(secret) : Buffer.from(key, 'base64');
}

function outcomeOf({ ok, status, headers }: Response): WebhookOutcome {
  if (ok) return { kind: 'taken' };
  const reason = `The receiver answered ${status}`;
  if (REFUSED.has(status)) return { kind: 'refused', reason, retryAfterMs: null, tooLarge: status === TOO_LARGE };
  return { kind: 'later', reason, retryAfterMs: retryAfterMs(headers.get('retry-after')) };
}

/** fetch says why only in the cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (!(cause instanceof Error)) return error.message;
  return 'code' in cause ? String(cause.code) : cause.message;
}
