import { Resolver } from 'node:dns/promises';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/**
 * Where Web Push may be sent. A subscription names an address that this service then calls, so whoever may subscribe
 * could have it call the neighbours of the server. What is written as a number is looked at when it comes in, what a
 * name stands for whenever it is called.
 */

/** What is not a public IPv4 address (RFC 6890 and its successors). */
const SPECIAL_V4: readonly [string, number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];
/** Inside the space of public IPv6 addresses: protocols, documentation, and tunnels that hide an IPv4 address. */
const SPECIAL_V6: readonly [string, number][] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];
/** How a host that has IPv6 alone reaches IPv4: the address stands at the end. */
const NAT64 = '64:ff9b::';

const special = new BlockList();
const publicV6 = new BlockList();
publicV6.addSubnet('2000::', 3, 'ipv6');
publicV6.addSubnet(NAT64, 96, 'ipv6');
for (const [net, bits] of SPECIAL_V6) special.addSubnet(net, bits, 'ipv6');
for (const [net, bits] of SPECIAL_V4) {
  special.addSubnet(net, bits, 'ipv4');
  special.addSubnet(`${NAT64}${net}`, 96 + bits, 'ipv6');
}

/** Whether an address (not a name) belongs to this machine, to its neighbours or to nobody. */
export function isPrivateAddress(address: string): boolean {
  const version = isIP(address);
  if (version === 4) return special.check(address, 'ipv4');
  return version !== 6 || !publicV6.check(address, 'ipv6') || special.check(address, 'ipv6');
}

const LOCAL_NAME = /(^|\.)localhost\.?$/i;

/** Whether the host of a URL is a private address or a name of this machine; what else a name means is not known here. */
export function isPrivateHost(hostname: string): boolean {
  const address = hostname.replace(/^\[(.*)\]$/, '$1');
  return isIP(address) === 0 ? LOCAL_NAME.test(hostname) : isPrivateAddress(address);
}

/** What is wrong with an address to send Web Push to, as a sentence; null where nothing is. */
export function pushAddressProblem(endpoint: string, allowPrivate: boolean): string | null {
  const url = URL.parse(endpoint);
  if (url === null || url.hostname === '') return 'must be an address';
  if (url.protocol !== 'https:' && !(allowPrivate && url.protocol === 'http:')) return 'must begin with https://';
  if (url.username !== '' || url.password !== '') return 'may not hold a user or a password';
  if (!allowPrivate && isPrivateHost(url.hostname)) return 'may not lead into a private network';
  return null;
}

/** Thrown for a name that stands for private addresses alone. */
export class PrivateAddressError extends Error {
  constructor(hostname: string) {
    super(`${hostname} leads into a private network`);
    this.name = 'PrivateAddressError';
  }
}

/** Beyond both a name is as good as unknown; a push service has five seconds for everything. */
const NAME_LIMIT = { timeout: 1000, tries: 2 };

/**
 * Resolves names without the addresses that may not be called; nothing is asked twice, so nothing can change. It asks the
 * name servers itself (`servers`, or those of the system). The system's own way would wait in one of the process's four
 * threads, and a few names whose servers are silent would hold up every other name and all else that threads do.
 */
export function publicLookup(servers?: readonly string[]): LookupFunction {
  return (hostname, options, callback) => {
    resolvePublic(hostname, servers).then(
      (addresses) => {
        const [first] = addresses;
        if (options.all) callback(null, addresses);
        else callback(null, first?.address ?? '', first?.family);
      },
      (error) => callback(error, []),
    );
  };
}

export const lookupPublic = publicLookup();

async function resolvePublic(hostname: string, servers: readonly string[] | undefined) {
  if (LOCAL_NAME.test(hostname)) throw new PrivateAddressError(hostname);
  // Made anew each time, for the system's servers may have changed.
  const resolver = new Resolver(NAME_LIMIT);
  if (servers) resolver.setServers(servers);
  const [v4, v6] = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
  const found = [
    ...(v4.status === 'fulfilled' ? v4.value : []).map((address) => ({ address, family: 4 })),
    ...(v6.status === 'fulfilled' ? v6.value : []).map((address) => ({ address, family: 6 })),
  ];
  // A name that has addresses of one kind only is known by those.
  if (found.length === 0 && v4.status === 'rejected') throw v4.reason;
  const addresses = found.filter(({ address }) => !isPrivateAddress(address));
  if (addresses.length === 0) throw new PrivateAddressError(hostname);
  return addresses;
}
