import { once } from 'node:events';
import { connect } from 'node:net';
import { io } from 'socket.io-client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, JWT_SECRET } from '../support/deployment.ts';

let rollcall: Deployment;

beforeAll(async () => {
  const env = { ...CALM, LOG_LEVEL: 'trace', ADMIN_PASSWORD: 'a-password-of-the-operator' };
  rollcall = await Deployment.start('token-logs', { env });
});
afterAll(() => rollcall?.stop());

/** What is said to a port, without any client that would correct it. */
async function raw(text: string): Promise<void> {
  const { hostname, port } = new URL(rollcall.url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  socket.resume();
  socket.end(text);
  await once(socket, 'close');
}

async function knock(auth: object, options: object = {}): Promise<void> {
  const socket = io(rollcall.url, { auth, transports: ['websocket'], forceNew: true, reconnection: false, ...options });
  await new Promise<void>((resolve) => {
    socket.once('ready', () => resolve());
    socket.once('connect_error', () => resolve());
  });
  socket.disconnect();
}

test('whatever place tokens are put in, at any level of the log, no line of any process holds one', async () => {
  const good = await tokenFor('ada');
  const [head = '', claims = '', signature = ''] = good.split('.');
  const tokens = {
    good,
    expired: await tokenFor('ada', { expiresInSeconds: -100 }),
    'badly signed': `${head}.${claims}.${signature.split('').reverse().join('')}`,
    unsigned: `${Buffer.from('{"alg":"none"}').toString('base64url')}.${claims}.`,
    'of a service': await tokenFor('backend', { scope: 'presence:write' }),
    'of nobody': await tokenFor('not a user id'),
    endless: await tokenFor('ada', { exp: 1e20 }),
  };
  for (const token of Object.values(tokens)) {
    const url = rollcall.url;
    await Promise.all([
      rest(url, 'GET', `/users/ada/status?token=${token}&access_token=${token}`),
      rest(url, 'GET', `/users/ada/status?include=${token}`, { token }),
      rest(url, 'GET', `/users/${token}/status`, { token: good }),
      rest(url, 'GET', `/nowhere/${token}#${token}`, { token }),
      rest(url, 'GET', `/analytics/active-users?cursor=${token}`, { token: tokens['of a service'] }),
      rest(url, 'POST', '/users/status', { token, body: { status: token, token, userId: token } }),
      rest(url, 'POST', '/users/status', { token: good, body: `{"status":"${token}` }),
      rest(url, 'POST', '/users/status/query', { token: good, body: { userIds: [token] } }),
      rest(url, 'PUT', '/users/ada', { token: good, body: { displayName: token, avatarUrl: `https://x/?t=${token}` } }),
      rest(url, 'PUT', `/conversations/${token}/members/${token}`, { token: tokens['of a service'] }),
      ...['Basic', 'Token', 'Bearer Bearer', 'bearer', ''].map((scheme) =>
        fetch(`${url}/users/ada`, { headers: { authorization: `${scheme} ${token}` } }),
      ),
      fetch(`${url}/users/ada`, {
        headers: { 'x-access-token': token, cookie: `token=${token}`, referer: `${url}/?${token}` },
      }),
      fetch(`${url}/admin/queues?token=${token}`, { headers: { authorization: `Basic ${btoa(`admin:${token}`)}` } }),
      fetch(`${url}/socket.io/?EIO=4&transport=polling&token=${token}&sid=${token}`),
      raw(`GET /users/ada?t=${token} HTTP/9.9\r\nAuthorization: Bearer ${token}\r\n\r\n`),
      raw(`GET /%zz${token} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
      raw(`${token}\r\n\r\n`),
      knock({ token }),
      knock({ token: { token } }),
      knock({ token: `Bearer ${token}`, jwt: token }),
      knock({ token, deviceId: token, watch: [token], device: { kind: 'web', name: token } }),
      knock(
        {},
        { query: { token }, extraHeaders: { authorization: `Bearer ${token}`, origin: `https://${token}.example` } },
      ),
    ]);
  }
  for (const token of Object.values(tokens)) {
    const ada = await TestClient.connect(rollcall.url, 'ada', { watch: [] });
    // The token of somebody else ends the connection, whatever else is still on its way.
    const emit = (event: string, said: unknown) =>
      ada.socket.emitWithAck(event as 'watch', said as never).catch(() => {});
    await Promise.all([
      emit('watch', { userIds: [token], token }),
      emit('set_detail', { text: token.slice(0, 100) }),
      emit('set_status', { status: token, token }),
      emit('start_indicator', { conversationId: token, kind: token }),
      emit('authenticate', { token }),
    ]);
    ada.leave();
  }
  await rollcall.web(0).said(/a request was refused/);
  const programs = [...rollcall.webs, ...rollcall.workers];
  // Told to end in good order, so that whatever is still to be said is said.
  for (const program of programs) program.kill('SIGTERM');
  await Promise.all(programs.map((program) => program.exited));

  const lines = programs.flatMap((program) => program.lines);
  expect(lines.length).toBeGreaterThan(100);
  const secrets = Object.values(tokens).flatMap((token) => token.split('.').filter((piece) => piece.length > 30));
  secrets.push(
    JWT_SECRET,
    'a-password-of-the-operator',
    ...Object.values(tokens).map((token) => btoa(`admin:${token}`)),
  );
  for (const hush of new Set(secrets)) {
    expect(lines.filter((line) => line.includes(hush))).toEqual([]);
  }
  expect(rollcall.faults).toEqual([]);
});
