import { createHmac } from 'node:crypto';

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const HEADER = encode({ alg: 'HS256' });

/** A token for an hour, signed without a promise: ten thousand of them should not be what a load process does. */
export function signToken(secret: string, sub: string, scope?: string): string {
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const text = `${HEADER}.${encode({ sub, exp, ...(scope ? { scope } : {}) })}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}
