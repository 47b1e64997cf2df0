import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment } from '../support/deployment.ts';
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
  const given = { count: 0 };
  const getToken = (): Promise<string> => {
    const next = list[Math.min(given.count, list.length - 1)];
    given.count += 1;
    return next ? next() : Promise.reject(new Error('none'));
  };
  return { getToken, given };
}

const calls = (given: { count: number }, count: number) =>
  until({ get: () => given.count, subscribe: poll }, (value) => value >= count);
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
  const states: string[] = [];
  bob.connection.subscribe(() => states.push(bob.connection.get().status));
  await untilState(bob, 'connected');
  await calls(given, 2);
  // Somebody with as short a token who does nothing about it shows when the first one is dead.
  const control = await TestClient.connect(deployment.url, 'control', {
    token: await tokenFor('control', { expiresInSeconds: 3 }),
  });
  expect(await control.isClosed()).toMatchObject({ reason: 'token_expired' });
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
  const errors: string[] = [];
  cem.onError((error) => errors.push(error.code));
  await untilState(cem, 'connected');
  await calls(given, 3);
  await untilState(cem, 'connected');
  expect(errors).toEqual(['TOKEN_UNAVAILABLE']);
});

test('a token that the server will never take ends it, with the reason', async () => {
  const dee = clients.connect(deployment.url, 'dee', { getToken: () => 'not.a.token' });
  const { reason, error } = await untilState(dee, 'closed');
  expect(reason).toBe('refused');
  expect(error?.code).toBe('UNAUTHENTICATED');
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
