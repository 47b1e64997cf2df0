import { hmacKey } from './hmac.ts';

/** The secret that Rollcall has as JWT_SECRET, or the private key (a `CryptoKey`) whose public one it knows. */
export type SigningKey = string | SigningCryptoKey;

/** As much of a `CryptoKey` as is needed here, for not every runtime's types know that name. */
export interface SigningCryptoKey {
  readonly type: string;
  readonly algorithm: { readonly name: string };
}

interface TokenOptions {
  key: SigningKey;
  /** 600 by default; at most a year. */
  expiresInSeconds?: number | undefined;
  /** `iss` and `aud`, where Rollcall is set up to check them. */
  issuer?: string | undefined;
  audience?: string | undefined;
  /** `kid` of the header, where Rollcall has its keys by JWKS_URL. */
  keyId?: string | undefined;
}

export interface UserTokenOptions extends TokenOptions {
  userId: string;
  /** Further claims, such as `name` and `picture`, with which a profile begins. A `scope` is left out: no user has one. */
  claims?: Readonly<Record<string, unknown>> | undefined;
}

export interface ServiceTokenOptions extends TokenOptions {
  /** What the service may: read about anyone, or act for anyone too. */
  scope: 'presence:read' | 'presence:write';
  /** Names the service, `backend` by default. */
  name?: string | undefined;
}

const MINUTES_10 = 600;
const utf8 = new TextEncoder();

/**
 * A token for a user who is signed in, for their page or app: a JWT. Rejects with a TypeError for a key that cannot sign
 * what Rollcall takes.
 */
export function signUserToken({ userId, claims, ...options }: UserTokenOptions): Promise<string> {
  return sign(options, { ...claims, sub: userId, scope: undefined });
}

/** A token for a backend, as a JWT; keep it out of browsers. Rejects with a TypeError as `signUserToken` does. */
export function signServiceToken({ scope, name = 'backend', ...options }: ServiceTokenOptions): Promise<string> {
  return sign(options, { sub: name, scope });
}

async function sign(options: TokenOptions, claims: Record<string, unknown>): Promise<string> {
  const { key: given, expiresInSeconds = MINUTES_10, issuer, audience, keyId } = options;
  const [alg, how, key] = await signing(given);
  const now = Math.floor(Date.now() / 1000);
  const header = { alg, typ: 'JWT', kid: keyId };
  const { iss, aud, ...others } = claims;
  const times = { iat: now, exp: now + Math.floor(expiresInSeconds) };
  const payload = { ...others, iss: issuer ?? iss, aud: audience ?? aud, ...times };
  const text = [header, payload].map((part) => base64url(utf8.encode(JSON.stringify(part)))).join('.');
  return `${text}.${base64url(new Uint8Array(await crypto.subtle.sign(how, key, utf8.encode(text))))}`;
}

/** How a JWT names the algorithm, how WebCrypto does, and the key. */
async function signing(key: SigningKey): Promise<[string, string | { name: string; hash: string }, CryptoKey]> {
  // In JavaScript it may be an environment variable that is not set.
  if (typeof key !== 'object' || key === null) {
    const bytes = utf8.encode(key ?? '');
    if (bytes.length < 32) throw new TypeError('The key must be a secret of at least 32 bytes, as JWT_SECRET is.');
    return ['HS256', 'HMAC', await hmacKey(bytes, 'sign')];
  }
  const { name } = key.algorithm;
  const algorithm = ALGORITHMS[name];
  if (algorithm === undefined) throw new TypeError(`Rollcall takes no tokens that are signed with ${name}.`);
  return [algorithm, name === 'ECDSA' ? { name, hash: 'SHA-256' } : name, key as CryptoKey];
}

const ALGORITHMS: Record<string, string> = {
  HMAC: 'HS256',
  'RSASSA-PKCS1-v1_5': 'RS256',
  ECDSA: 'ES256',
  Ed25519: 'EdDSA',
};

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');
}
