import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { type PresenceClient, SignedOutError } from '../../src/client/index.ts';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';
import { Clients, until, untilState } from './world.ts';

let deployment: Deployment;
const clients = new Clients();

beforeAll(async () => {
  deployment = await Deployment.start('client-tokens', { env: CALM, workers: 0 });
});
afterEach(() => clients.close());
afterAll(() => deployment.stop());

/** Hands out what the list holds, one after the other, and the last one for ever. */
function tokens(...list: (() => Promise<string>)[]) {
  const given = { count: 0, at: [] as number[] };
  const getToken = (): Promise<string> => {
    const next = list[Math.min(given.count, list.length - 1)];
    given.count += 1;
    given.at.push(performance.now());
    return next ? next() : Promise.reject(new Error('none'));
  };
  return { getToken, given };
}

function errorsOf(client: PresenceClient): string[] {
  const errors: string[] = [];
  client.onError((error) => errors.push(error.code));
  return errors;
}

/** From the first connection on: a server that is pressed asks newcomers to come again. */
function statesOf(client: PresenceClient): string[] {
  const states: string[] = [];
  client.connection.subscribe(() => {
    const { status } = client.connection.get();
    if (states.length > 0 || status === 'connected') states.push(status);
  });
  return states;
}

/** Resolves once a token of so many seconds, which somebody does nothing about, is dead. */
async function hasExpired(seconds: number): Promise<void> {
  const token = await tokenFor('control', { expiresInSeconds: seconds });
  const control = await TestClient.connect(deployment.url, 'control', { token });
  expect(await control.isClosed(seconds * 1000 + 20_000)).toMatchObject({ reason: 'token_expired' });
}

const calls = (given: { count: number }, count: number) =>
  until({ get: () => given.count, subscribe: poll }, (value) => value >= count, 30_000);
function poll(look: () => void): () => void {
  const timer = setInterval(look, 20);
  return () => clearInterval(timer);
}

test('an expired token is replaced by a fresh one, without a word to the application', async () => {
  const { getToken, given } = tokens(
    () => tokenFor('ada', { expiresInSeconds: -60 }),
    () => tokenFor('ada'),
  );
  const ada = clients.connect(deployment.url, 'ada', { getToken });
  await untilState(ada, 'connected');
  expect(given.count).toBe(2);
});

test('before the token expires the application is asked for the next one, and the connection outlives it', async () => {
  const { getToken, given } = tokens(
    () => tokenFor('bob', { expiresInSeconds: 3 }),
    () => tokenFor('bob'),
  );
  const bob = clients.connect(deployment.url, 'bob', { getToken });
  const states = statesOf(bob);
  await untilState(bob, 'connected');
  await calls(given, 2);
  await hasExpired(3);
  expect(states).toEqual(['connected']);
  expect(given.count).toBe(2);
});

test('where no fresh token is to be had in time, the client comes back as soon as there is one', async () => {
  const { getToken, given } = tokens(
    () => tokenFor('cem', { expiresInSeconds: 2 }),
    () => Promise.reject(new Error('The backend is away.')),
    () => tokenFor('cem'),
  );
  const cem = clients.connect(deployment.url, 'cem', { getToken });
  const errors = errorsOf(cem);
  await untilState(cem, 'connected');
  await calls(given, 3);
  await untilState(cem, 'connected');
  expect(errors).toEqual(['TOKEN_UNAVAILABLE']);
});

test('a token that the server does not take is an error, and a better one connects', async () => {
  const { getToken } = tokens(
    async () => `${await tokenFor('dee')}x`,
    () => tokenFor('dee'),
  );
  const dee = clients.connect(deployment.url, 'dee', { getToken });
  const errors = errorsOf(dee);
  await untilState(dee, 'connected', 40_000);
  // The same again is no news.
  expect(errors).toEqual(['UNAUTHENTICATED']);
});

test('a backend that fails to give a token is asked again', async () => {
  const { getToken, given } = tokens(
    () => Promise.reject(new Error('The backend is away.')),
    () => tokenFor('eve'),
  );
  const eve = clients.connect(deployment.url, 'eve', { getToken });
  await untilState(eve, 'connected');
  expect(given.count).toBe(2);
});

describe('tokens that live for seconds', () => {
  test('are renewed in time, without asking more often than that takes, and the connection outlives them', async () => {
    const { getToken, given } = tokens(() => tokenFor('fay', { expiresInSeconds: 6 }));
    const fay = clients.connect(deployment.url, 'fay', { getToken });
    const states = statesOf(fay);
    await calls(given, 4);
    const [first = 0, ...later] = given.at;
    // Three lives less what is kept for mishaps; exp is in whole seconds.
    expect((later[2] ?? 0) - first).toBeGreaterThan(3 * 3000);
    expect(states).toEqual(['connected']);
  });

  test('the application may hand out the same one until it is nearly over', async () => {
    const cached = { token: '', until: 0 };
    const { getToken, given } = tokens(async () => {
      if (Date.now() >= cached.until) {
        cached.token = await tokenFor('gus', { expiresInSeconds: 9 });
        cached.until = Date.now() + 7000;
      }
      return cached.token;
    });
    const gus = clients.connect(deployment.url, 'gus', { getToken });
    const states = statesOf(gus);
    await untilState(gus, 'connected');
    await hasExpired(10);
    expect(states).toEqual(['connected']);
    expect(given.count).toBeLessThan(10);
  });

  test('a device whose clock is an hour ahead tries again when the backend is away for a moment', async () => {
    const [short, long] = [await tokenFor('hal', { expiresInSeconds: 9 }), await tokenFor('hal')];
    const { getToken, given } = tokens(
      () => Promise.resolve(short),
      () => Promise.reject(new Error('The backend is away.')),
      () => Promise.resolve(long),
    );
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
    try {
      const hal = clients.connect(deployment.url, 'hal', { getToken });
      const states = statesOf(hal);
      await calls(given, 3);
      vi.useRealTimers();
      await hasExpired(3);
      expect(states).toEqual(['connected']);
    } finally {
      vi.useRealTimers();
    }
  });

  test('a next one that counts only in a moment is tried again, not thrown away', async () => {
    const { getToken, given } = tokens(
      () => tokenFor('ida', { expiresInSeconds: 12 }),
      () => tokenFor('ida', { nbf: Math.floor(Date.now() / 1000) + 7 }),
    );
    const ida = clients.connect(deployment.url, 'ida', { getToken });
    const [states, errors] = [statesOf(ida), errorsOf(ida)];
    await calls(given, 2);
    await hasExpired(7);
    expect(states).toEqual(['connected']);
    expect(new Set(errors)).toEqual(new Set(['UNAUTHENTICATED']));
    expect(given.count).toBe(2);
  });
});

test("the client's time is the server's, whatever the device's clock says, and stays so when that is set", async () => {
  const token = await tokenFor('jon');
  const began = { at: performance.now(), time: Date.now() };
  const realTime = () => began.time + performance.now() - began.at;
  vi.useFakeTimers({ toFake: ['Date'], now: began.time + 3_600_000 });
  try {
    const jon = clients.connect(deployment.url, 'jon', { getToken: () => token });
    await untilState(jon, 'connected');
    expect(Math.abs(jon.now() - realTime())).toBeLessThan(5000);
    vi.setSystemTime(began.time - 86_400_000);
    expect(Math.abs(jon.now() - realTime())).toBeLessThan(5000);
  } finally {
    vi.useRealTimers();
  }
});

describe('one bad answer of getToken is no end', () => {
  test.each<[string, () => string]>([
    ['the page of a proxy whose backend is away', () => '<html>502 Bad Gateway</html>'],
    ['an empty text', () => ''],
    ['a quoted text', () => '"aa.bb.cc"'],
    ['undefined', () => undefined as unknown as string],
    ['an object', () => ({ token: 'aa.bb.cc' }) as unknown as string],
    [
      'an exception',
      () => {
        throw new Error('not now');
      },
    ],
  ])('%s: it is told as TOKEN_UNAVAILABLE, and asked for again', async (_, bad) => {
    const { getToken } = tokens(
      async () => bad(),
      () => tokenFor('kim'),
    );
    let first = true;
    const kim = clients.connect(deployment.url, 'kim', {
      // Also where it is not asynchronous.
      getToken: () => {
        if (!first) return getToken();
        first = false;
        return bad();
      },
    });
    const errors = errorsOf(kim);
    await untilState(kim, 'connected');
    expect(new Set(errors)).toEqual(new Set(['TOKEN_UNAVAILABLE']));
  });

  test('white space around a token does no harm', async () => {
    const { getToken } = tokens(async () => ` ${await tokenFor('liv')}\n`);
    await untilState(clients.connect(deployment.url, 'liv', { getToken }), 'connected');
  });

  test('a host whose clock is eight seconds ahead: its tokens count a moment later, and the client waits for that', async () => {
    const { getToken } = tokens(() => tokenFor('mia', { nbf: Math.floor(Date.now() / 1000) + 8 }));
    await untilState(clients.connect(deployment.url, 'mia', { getToken }), 'connected', 30_000);
  });
});

describe('signed out', () => {
  test.each<[string, () => Promise<null>]>([
    ['null', () => Promise.resolve(null)],
    ['a SignedOutError', () => Promise.reject(new SignedOutError())],
  ])('%s closes the client without an error, until it is connected again', async (_, signedOut) => {
    let isSignedIn = false;
    const getToken = () => (isSignedIn ? tokenFor('ned') : signedOut());
    const ned = clients.connect(deployment.url, 'ned', { getToken });
    const errors = errorsOf(ned);
    const { reason, error } = await untilState(ned, 'closed');
    expect({ reason, error, errors }).toEqual({ reason: 'signed_out', error: undefined, errors: [] });
    isSignedIn = true;
    ned.connect();
    await untilState(ned, 'connected');
  });

  test('said when the next token is asked for, it ends the session at once', async () => {
    let count = 0;
    const getToken = async () => (count++ === 0 ? tokenFor('ola', { expiresInSeconds: 6 }) : null);
    const ola = clients.connect(deployment.url, 'ola', { getToken });
    await untilState(ola, 'connected');
    expect(await untilState(ola, 'closed')).toMatchObject({ reason: 'signed_out' });
    const token = await tokenFor('ola');
    await eventually(
      () => rest(deployment.url, 'GET', '/users/ola/sessions', { token }),
      ({ body }) => body.sessions.length === 0,
    );
  });
});

test('one session too many comes in as soon as another ends', async () => {
  const { url } = await deployment.addWeb({ MAX_SESSIONS_PER_USER: '1' });
  const first = clients.connect(url, 'pam');
  await untilState(first, 'connected');
  const second = clients.connect(url, 'pam');
  const refused = new Promise((resolve) => second.onError(({ code }) => resolve(code)));
  expect(await refused).toBe('TOO_MANY_SESSIONS');
  first.close();
  await untilState(second, 'connected');
});

test('whoever connects anew is asked for anew: an answer that comes late is not taken for theirs', async () => {
  const answers: ((token: string) => void)[] = [];
  const getToken = () => new Promise<string>((resolve) => answers.push(resolve));
  const client = clients.connect(deployment.url, 'quy', { getToken });
  client.close();
  client.connect();
  expect(answers).toHaveLength(2);
  answers[1]?.(await tokenFor('rob'));
  answers[0]?.(await tokenFor('quy'));
  expect(await untilState(client, 'connected')).toMatchObject({ userId: 'rob' });
});
