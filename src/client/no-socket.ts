import { PresenceError } from './presence-error.ts';

/**
 * Looks into attempts that come to nothing, at `address`, and tells what is in the way: once for each thing it finds. A
 * server may have come back in the very moment, so what counts is what is found twice, unless the caller is sure.
 */
export function createInquiry(address: string, tell: (finding: PresenceError) => void) {
  let finding: PresenceError | undefined;
  let suspicion: string | undefined;
  let looking = false;
  return {
    finding: () => finding,
    async look(isSure: boolean): Promise<void> {
      if (looking) return;
      looking = true;
      const message = `${address.replace(/\?.*/, '')} ${await whyNoSocket(address)}`;
      looking = false;
      if ((isSure || message === suspicion) && message !== finding?.message) {
        finding = new PresenceError('NOT_CONNECTED', message);
        tell(finding);
      }
      suspicion = message;
    },
  };
}

/**
 * Why no WebSocket comes about, as what the address does instead, in words for whoever sets it up. Browsers keep it from the
 * page, so the server is asked by HTTP; what it answers there makes no session.
 */
async function whyNoSocket(address: string): Promise<string> {
  try {
    const answer = await fetch(address);
    const { code }: { code?: unknown } = await answer.json().catch(() => ({}));
    // Engine.IO's: it takes no WebSockets at all, or it does and misses one here.
    if (code === 0) return 'takes no WebSocket: SOCKET_TRANSPORTS?';
    if (code === 3) return 'takes no WebSocket: CORS_ORIGINS? A proxy without Upgrade or Host?';
    return `is no Rollcall server (${answer.status})`;
  } catch {
    return fetch(address, { mode: 'no-cors' }).then(
      () => `takes no WebSocket: CORS_ORIGINS without ${globalThis.location?.origin}?`,
      () => 'does not answer',
    );
  }
}
