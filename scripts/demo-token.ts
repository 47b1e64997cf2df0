import { type JWTPayload, SignJWT } from 'jose';

/** Signs a token of an hour with the demo's own secret. */
export function demoToken(secret: string, userId: string, claims: JWTPayload): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(userId)
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(secret));
}
