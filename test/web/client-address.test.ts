import { expect, test } from 'vitest';
import { clientAddress, networkOf } from '../../src/web/client-address.ts';
import { isAllowedOrigin } from '../../src/web/sockets/door.ts';

const asked = (remoteAddress: string, forwarded?: string) => ({
  headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
  socket: { remoteAddress },
});

test.each<[number | true, string | undefined, string]>([
  [0, '1.1.1.1', '9.9.9.9'],
  [1, undefined, '9.9.9.9'],
  [1, '1.1.1.1', '1.1.1.1'],
  // What the client wrote itself stands in front of what the proxy wrote.
  [1, '6.6.6.6, 1.1.1.1', '1.1.1.1'],
  [2, '6.6.6.6, 1.1.1.1, 2.2.2.2', '1.1.1.1'],
  [5, '1.1.1.1,2.2.2.2', '1.1.1.1'],
  [true, '6.6.6.6, 1.1.1.1', '6.6.6.6'],
  [1, 'unknown', '9.9.9.9'],
  [2, 'x'.repeat(5000), '9.9.9.9'],
  [2, 'garbage, 2.2.2.2', '2.2.2.2'],
  [1, '2001:db8::1', '2001:db8::1'],
])('with %s proxies believed, a client that says %s has the address %s', (trust, forwarded, address) => {
  expect(clientAddress(trust)(asked('9.9.9.9', forwarded))).toBe(address);
});

test.each([
  ['1.2.3.4', '1.2.3.4'],
  ['::ffff:1.2.3.4', '1.2.3.4'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:0DB8:1:2::9', '2001:db8:1:2'],
  ['2001:db8::1', '2001:db8:0:0'],
  ['::1', '0:0:0:0'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
  ['', ''],
])('%s shares its limits with all of %s', (address, network) => {
  expect(networkOf(address)).toBe(network);
});

test.each<[string | undefined, string[], boolean]>([
  [undefined, [], true],
  ['https://chat.example', [], true],
  ['http://chat.example', [], true],
  ['https://chat.example:8443', [], false],
  ['https://evil.example', [], false],
  ['https://chat.example.evil.example', [], false],
  ['null', [], false],
  ['file://', [], false],
  ['garbage', [], false],
  ['https://app.example', ['https://app.example'], true],
  ['http://app.example', ['https://app.example'], false],
  ['https://evil.example', ['https://app.example'], false],
  ['https://evil.example', ['*'], true],
  ['null', ['*'], true],
])('a page of %s may connect to chat.example where %s are listed: %s', (origin, corsOrigins, allowed) => {
  const headers = { host: 'chat.example', ...(origin === undefined ? {} : { origin }) };
  expect(isAllowedOrigin({ headers }, { corsOrigins, trustProxy: 0 })).toBe(allowed);
});

test('behind a believed proxy the name that the browser asked for counts', () => {
  const headers = { origin: 'https://chat.example', host: '10.0.0.7:3000', 'x-forwarded-host': 'chat.example' };
  expect(isAllowedOrigin({ headers }, { corsOrigins: [], trustProxy: 1 })).toBe(true);
  expect(isAllowedOrigin({ headers }, { corsOrigins: [], trustProxy: 0 })).toBe(false);
});
