import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';

/** Where the clock of these tests begins, and their tokens with it. */
export const start = 1_800_000_000_000;

/** An identity provider that can rotate its keys, fail and go away. */
export class KeyServer {
  keys: JWK[] = [];
  fetches = 0;
  broken = false;
  /** What has to stand in `Authorization`. */
  login: string | undefined;
  /** Answers wait for it. */
  gate: Promise<void> = Promise.resolve();
  readonly #server: Server = createServer(async (request, response) => {
    this.fetches += 1;
    await this.gate;
    const allowed = request.headers.authorization === this.login;
    response.statusCode = this.broken ? 500 : allowed ? 200 : 401;
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: this.keys }));
  });
  #port = 0;

  async open(): Promise<string> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
    return this.address;
  }

  get address(): string {
    return `http://127.0.0.1:${this.#port}/jwks.json`;
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }
}

export type Signer = (sub: string) => Promise<string>;

/** A new key, published under this id (or without one), and who signs with it. */
export async function key(
  kid: string | null,
  alg: 'RS256' | 'ES256' | 'EdDSA' = 'ES256',
): Promise<{ jwk: JWK; sign: Signer }> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), alg, use: 'sig', ...(kid === null ? {} : { kid }) };
  const header = kid === null ? { alg } : { alg, kid };
  const sign: Signer = (sub) =>
    new SignJWT({ sub, exp: start / 1000 + 86_400 }).setProtectedHeader(header).sign(privateKey);
  return { jwk, sign };
}
