import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import type { Environment } from './environment.ts';

export type JwtAlgorithm = 'HS256' | 'RS256' | 'ES256' | 'EdDSA';

/** What tokens are checked with. A fixed key fits exactly one algorithm, and a KeyObject shows nothing when printed. */
export type JwtKey = { kind: 'fixed'; key: KeyObject; algorithm: JwtAlgorithm } | { kind: 'jwks'; url: string };

/**
 * The key by which tokens are checked, from exactly one of JWT_SECRET, JWT_PUBLIC_KEY and JWKS_URL; undefined where a
 * problem was noted.
 */
export function readJwtKey(from: Environment): JwtKey | undefined {
  const secret = from.secret('JWT_SECRET');
  const pem = from.secret('JWT_PUBLIC_KEY');
  const url = from.url('JWKS_URL', ['https:', 'http:']);
  const given = [secret && 'JWT_SECRET', pem && 'JWT_PUBLIC_KEY', from.text('JWKS_URL') && 'JWKS_URL'].filter(Boolean);
  if (given.length === 0)
    from.problem('JWT_SECRET', 'or JWT_PUBLIC_KEY or JWKS_URL is required: the key of the tokens');
  if (given.length > 1) from.problems.push(`Only one key may be set, got ${given.join(' and ')}`);
  if (secret !== undefined) {
    const bytes = Buffer.byteLength(secret);
    if (bytes < 32) from.problem('JWT_SECRET', `must have at least 32 bytes, got ${bytes}`);
    return { kind: 'fixed', key: createSecretKey(secret, 'utf8'), algorithm: 'HS256' };
  }
  if (pem !== undefined) return readPem(from, pem);
  return url === undefined ? undefined : readJwksUrl(from, url);
}

/** A user and a password in the address are sent as HTTP Basic. */
function readJwksUrl(from: Environment, url: string): JwtKey | undefined {
  if (!decodeURIComponent(new URL(url).username).includes(':')) return { kind: 'jwks', url };
  from.problem('JWKS_URL', 'may not have a colon in its user, for HTTP Basic ends the user there');
  return undefined;
}

function readPem(from: Environment, text: string): JwtKey | undefined {
  const pem = text.replaceAll('\\n', '\n');
  if (pem.includes('PRIVATE KEY')) {
    from.problem('JWT_PUBLIC_KEY', 'holds a private key; only the public one belongs here');
    return undefined;
  }
  try {
    const key = createPublicKey(pem);
    const algorithm = algorithmOf(key);
    if (algorithm !== undefined) return { kind: 'fixed', key, algorithm };
    from.problem('JWT_PUBLIC_KEY', 'must be an RSA key of at least 2048 bits, an EC key on P-256 or an Ed25519 key');
  } catch {
    from.problem('JWT_PUBLIC_KEY', 'is not a public key in PEM form (line breaks may be written as \\n)');
  }
  return undefined;
}

function algorithmOf(key: KeyObject): JwtAlgorithm | undefined {
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'rsa' && modulusLength >= 2048) return 'RS256';
  if (key.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') return 'ES256';
  return key.asymmetricKeyType === 'ed25519' ? 'EdDSA' : undefined;
}
