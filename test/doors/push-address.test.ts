import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  isPrivateAddress,
  lookupPublic,
  PrivateAddressError,
  publicLookup,
  pushAddressProblem,
} from '../../src/outbound-address.ts';
import { NameServer } from '../support/name-server.ts';

describe('an address of the network', () => {
  test.each([
    ['127.0.0.1'],
    ['0.0.0.0'],
    ['10.1.2.3'],
    ['172.31.255.255'],
    ['192.168.0.1'],
    ['169.254.169.254'],
    ['100.64.0.1'],
    ['198.18.0.1'],
    ['224.0.0.1'],
    ['255.255.255.255'],
    ['::'],
    ['::1'],
    ['::ffff:127.0.0.1'],
    ['::ffff:8.8.8.8'],
    ['fe80::1'],
    ['fe80::1%eth0'],
    ['fd12:3456::1'],
    ['ff02::1'],
    ['2001:db8::1'],
    ['2002:7f00:1::'],
    ['2001::1'],
    ['64:ff9b::127.0.0.1'],
    ['64:ff9b::10.0.0.1'],
    ['64:ff9b:1::1'],
    ['no address'],
    [''],
  ])('%s is private, or nobody knows whose', (address) => {
    expect(isPrivateAddress(address)).toBe(true);
  });

  test.each([['8.8.8.8'], ['172.32.0.1'], ['100.128.0.1'], ['2606:4700::1111'], ['64:ff9b::8.8.8.8']])(
    '%s is public',
    (address) => {
      expect(isPrivateAddress(address)).toBe(false);
    },
  );
});

describe('where a subscription may lead', () => {
  test.each([
    ['https://fcm.googleapis.com/fcm/send/abc'],
    ['https://updates.push.services.mozilla.com/wpush/v2/abc'],
    ['https://web.push.apple.com/abc'],
    ['https://[2606:4700::1111]/abc'],
  ])('%s', (endpoint) => {
    expect(pushAddressProblem(endpoint, false)).toBeNull();
    expect(pushAddressProblem(endpoint, true)).toBeNull();
  });

  test.each([
    ['https://127.0.0.1/abc'],
    ['https://127.1/abc'],
    ['https://2130706433/abc'],
    ['https://0x7f000001/abc'],
    ['https://0177.0.0.1/abc'],
    ['https://[::1]:8443/abc'],
    ['https://[::ffff:127.0.0.1]/abc'],
    ['https://localhost/abc'],
    ['https://LOCALHOST./abc'],
    ['https://redis.localhost/abc'],
    ['https://169.254.169.254/latest/meta-data'],
  ])('%s only where that is set', (endpoint) => {
    expect(pushAddressProblem(endpoint, false)).toBe('may not lead into a private network');
    expect(pushAddressProblem(endpoint, true)).toBeNull();
  });

  test('in the clear only where that is set, with another scheme or a password never', () => {
    expect(pushAddressProblem('http://push.example.net/abc', false)).toBe('must begin with https://');
    expect(pushAddressProblem('http://push.example.net/abc', true)).toBeNull();
    for (const allowed of [false, true]) {
      for (const endpoint of [
        'ftp://push.example.net',
        'file:///etc/passwd',
        'nonsense',
        '',
        'https://me:pw@a.example',
      ]) {
        expect(pushAddressProblem(endpoint, allowed)).not.toBeNull();
      }
    }
  });

  test('a name that stands for a private address is not called', async () => {
    const error = await new Promise<Error>((resolve) => {
      request('https://localhost:1/', { lookup: lookupPublic }).on('error', resolve).end();
    });
    expect(error).toBeInstanceOf(PrivateAddressError);
    const single = await new Promise((resolve) => lookupPublic('localhost', {}, resolve));
    expect(single).toBeInstanceOf(PrivateAddressError);
  });
});

describe('the name of a push service', () => {
  let server: NameServer;
  beforeAll(async () => {
    server = await NameServer.start({
      'push.example': ['8.8.8.8', '9.9.9.9'],
      'inside.example': ['10.0.0.1', '127.0.0.1'],
      'both.example': ['192.168.0.1', '8.8.4.4'],
      'silent.example': 'silence',
    });
  });
  afterAll(() => server?.close());

  const ask = (name: string, all = true) =>
    new Promise((resolve) => {
      publicLookup([server.address])(name, { all }, (error, found) => resolve(error ?? found));
    });

  test('stands for its public addresses', async () => {
    const v4 = (...addresses: string[]) => addresses.map((address) => ({ address, family: 4 }));
    expect(await ask('push.example')).toEqual(v4('8.8.8.8', '9.9.9.9'));
    expect(await ask('push.example', false)).toBe('8.8.8.8');
    expect(await ask('both.example')).toEqual(v4('8.8.4.4'));
  });

  test('is refused where it leads into a private network, and unknown where nobody knows it', async () => {
    expect(await ask('inside.example')).toBeInstanceOf(PrivateAddressError);
    expect(await ask('nobody.example')).toMatchObject({ code: 'ENOTFOUND' });
  });

  test('of which its name server says nothing holds up no other name, and no other work of the process', async () => {
    let ended = 0;
    const silent = Array.from({ length: 50 }, (_, n) => ask(`${n}.silent.example`).finally(() => ended++));
    await server.asked(100);
    expect(await ask('push.example')).toHaveLength(2);
    expect((await readFile('package.json', 'utf8')).length).toBeGreaterThan(0);
    expect(ended).toBe(0);
    for (const error of await Promise.all(silent)) expect(error).toMatchObject({ code: 'ETIMEOUT' });
  });
});
