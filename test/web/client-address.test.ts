import { expect, test } from 'vitest';
import { networkOf } from '../../src/network.ts';
import { Origins } from '../../src/web/auth/origins.ts';
import { clientAddress } from '../../src/web/limits/client-address.ts';

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
  [1, '1.1.1.1:52044', '1.1.1.1'],
  [1, '[2001:db8::1]:52044', '2001:db8::1'],
  [1, '[2001:db8::1]', '2001:db8::1'],
  [2, '6.6.6.6:1, 1.1.1.1:2, 2.2.2.2:3', '1.1.1.1'],
  [true, '6.6.6.6:65535 , 1.1.1.1', '6.6.6.6'],
  [1, '1.1.1.1:', '9.9.9.9'],
  [1, '1.1.1.1:port', '9.9.9.9'],
  [1, '999.1.1.1:80', '9.9.9.9'],
  [1, '[1.1.1.1]x:80', '9.9.9.9'],
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

const askedFrom = (
  origin: string | undefined,
  corsOrigins: string[],
  headers: Record<string, string> = {},
  trustProxy = 0,
) => {
  const lines: object[] = [];
  const origins = new Origins({ corsOrigins, trustProxy }, { warn: (line: object) => void lines.push(line) });
  const may = () =>
    origins.mayAsk({ headers: { host: 'chat.example', ...(origin === undefined ? {} : { origin }), ...headers } });
  return { may, lines };
};

test.each<[string | undefined, string[], boolean]>([
  [undefined, [], true],
  ['https://chat.example', [], true],
  ['http://chat.example', [], true],
  ['https://chat.example:8443', [], false],
  ['https://evil.example', [], false],
  ['https://chat.example.evil.example', [], false],
  ['capacitor://chat.example', [], false],
  ['null', [], false],
  ['file://', [], false],
  ['garbage', [], false],
  ['https://app.example', ['https://app.example'], true],
  ['http://app.example', ['https://app.example'], false],
  ['https://evil.example', ['https://app.example'], false],
  ['https://evil.example', ['*'], true],
  ['null', ['*'], true],
  ['null', ['null'], true],
  ['null', ['https://null'], false],
  ['capacitor://localhost', ['capacitor://localhost'], true],
  ['http://localhost', ['capacitor://localhost'], false],
  ['app://-', ['app://-'], true],
  ['app://-', ['app://.'], false],
  ['chrome-extension://abc', ['chrome-extension://abc'], true],
  ['chrome-extension://abd', ['chrome-extension://abc'], false],
  ['https://a.example.com', ['https://*.example.com'], true],
  ['https://a.b.example.com', ['https://*.example.com'], false],
  ['https://example.com', ['https://*.example.com'], false],
  ['http://a.example.com', ['https://*.example.com'], false],
  ['https://a.example.com:8443', ['https://*.example.com'], false],
  ['https://a.example.com:8443', ['https://*.example.com:8443'], true],
  ['https://a.example.com.evil.example', ['https://*.example.com'], false],
  ['https://aexample.com', ['https://*.example.com'], false],
  ['https://*.example.com', ['https://*.example.com'], false],
  ['https://a.example.com/', ['https://*.example.com'], true],
  ['https://a.example.com@evil.example', ['https://*.example.com'], false],
])('a page of %s may connect to chat.example where %s are listed: %s', (origin, corsOrigins, allowed) => {
  expect(askedFrom(origin, corsOrigins).may()).toBe(allowed);
});

test('behind a believed proxy the name that the browser asked for counts', () => {
  const headers = { host: '10.0.0.7:3000', 'x-forwarded-host': 'chat.example' };
  expect(askedFrom('https://chat.example', [], headers, 1).may()).toBe(true);
  expect(askedFrom('https://chat.example', [], headers, 0).may()).toBe(false);
});

test('a refused origin is one line in the log, whoever makes up how many of them', () => {
  const { may, lines } = askedFrom('https://evil.example', ['https://app.example']);
  for (let n = 0; n < 3; n++) expect(may()).toBe(false);
  expect(lines).toEqual([{ origin: 'https://evil.example' }]);
  const many: object[] = [];
  const origins = new Origins({ corsOrigins: [], trustProxy: 0 }, { warn: (line: object) => void many.push(line) });
  for (let n = 0; n < 1000; n++) origins.mayAsk({ headers: { origin: `https://${n}.example` } });
  expect(many).toHaveLength(100);
  const long = askedFrom(`https://${'x'.repeat(200)}.example`, []);
  expect([long.may(), long.lines]).toEqual([false, []]);
});
