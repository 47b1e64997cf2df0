import { createHash } from 'node:crypto';
import { isPrivateHost } from '../outbound-address.ts';
import type { Environment } from './environment.ts';

export interface WebhookSettings {
  url: string;
  /** At least 32 bytes. */
  secret: string;
}

/** A name that stands for the receiver of webhooks where its address, which may hold a secret, has no place. */
export function receiverOf({ url }: Pick<WebhookSettings, 'url'>): string {
  return createHash('sha256').update(url).digest('hex');
}

const LEAST_BYTES = 32;
/** Names that lead nowhere but into a private network: of one word (a neighbour in compose), and those kept for it. */
const PRIVATE_NAME = /^[^.]+$|\.(local|internal|lan|svc|home\.arpa)$/i;

/** Where webhooks go, and what they are signed with; null where none are wanted. */
export function readWebhook(from: Environment): WebhookSettings | null {
  const url = from.url('WEBHOOK_URL', ['https:', 'http:']);
  const secret = from.secret('WEBHOOK_SECRET');
  if (!from.sound('WEBHOOK_URL')) return null;
  if (url === undefined) {
    if (secret !== undefined) from.problem('WEBHOOK_URL', 'is required where WEBHOOK_SECRET is set');
    return null;
  }
  const { protocol, hostname, username, password, hash } = new URL(url);
  if (username !== '' || password !== '') {
    from.problem('WEBHOOK_URL', 'may not hold a user or a password: WEBHOOK_SECRET proves who calls');
  } else if (protocol === 'http:' && !isPrivateHost(hostname) && !PRIVATE_NAME.test(hostname)) {
    from.problem('WEBHOOK_URL', 'must begin with https:// unless it leads into a private network');
  } else if (hash !== '') from.problem('WEBHOOK_URL', 'may not have a part behind #');
  const bytes = Buffer.byteLength(secret ?? '');
  if (secret === undefined) from.problem('WEBHOOK_SECRET', 'is required where WEBHOOK_URL is set');
  else if (bytes < LEAST_BYTES) from.problem('WEBHOOK_SECRET', `must have at least ${LEAST_BYTES} bytes, got ${bytes}`);
  return { url, secret: secret ?? '' };
}
