/** Schemes whose addresses are asked of a network: their pages do not exist, or are named by http(s). */
const NO_PAGES = new Set(['ws:', 'wss:', 'ftp:', 'redis:', 'rediss:', 'postgres:', 'postgresql:']);

/**
 * One entry of the list of allowed origins, as it is compared later; null for what names no origin. Beside http and https
 * it may be an app shell's (`capacitor://localhost`, `app://-`, `chrome-extension://<id>`), `null` as browsers send it for
 * pages without an origin, `*` for all, or `https://*.example.com` for the names one level below.
 */
export function readOrigin(entry: string): string | null {
  if (entry === '*' || entry === 'null' || entry === 'file://') return entry;
  // The host is looked at as it is written: what URL parsers forgive no browser sends.
  const [, scheme = '', host = ''] = /^([a-z][a-z0-9+.-]*:)\/\/([^\s/?#@\\]+)\/?$/i.exec(entry) ?? [];
  if (host === '' || NO_PAGES.has(scheme.toLowerCase())) return null;
  const wildcard = host.startsWith('*.');
  if ((wildcard ? host.slice(2) : host).includes('*')) return null;
  if (!/^https?:$/i.test(scheme)) return wildcard ? null : `${scheme}//${host}`.toLowerCase();
  return URL.parse(`${scheme}//${host}`)?.origin ?? null;
}

/** Whether an origin, as a browser sends it, is one of those that `readOrigin` has read. */
export function isListed(origin: string, listed: readonly string[]): boolean {
  if (listed.includes('*')) return true;
  const sent = readOrigin(origin);
  if (sent === null || sent.includes('*')) return false;
  return listed.includes(sent) || listed.includes(oneLevelUp(sent));
}

/** `https://a.example.com` as the entry that names all its neighbours. */
function oneLevelUp(origin: string): string {
  return origin.replace(/^(https?:\/\/)[^.:[\]]+\.(?=[^.])/, '$1*.');
}
