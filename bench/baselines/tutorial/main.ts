import { createSecretKey } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createAdapter } from '@socket.io/redis-adapter';
import { Redis } from 'ioredis';
import { jwtVerify } from 'jose';
import { Server, type Socket } from 'socket.io';
import { TutorialPresence, watchersOf } from './presence.ts';
import { handleRooms, usersIn } from './rooms.ts';

// Presence as people write it by hand: Socket.IO, a JWT, SETEX for every heartbeat, notifications of expired keys, the
// Redis adapter, and a room for everybody who is watched.
const { PORT, REDIS_URL = '', JWT_SECRET = '', TTL_SECONDS = '60', PING_SECONDS = '25' } = process.env;
const key = createSecretKey(JWT_SECRET, 'utf8');
const http = createServer((request, response) => {
  answer(request, response).catch((error) => response.writeHead(401).end(String(error)));
});
const io = new Server(http, {
  transports: ['websocket'],
  pingInterval: Number(PING_SECONDS) * 1000,
  perMessageDeflate: false,
  serveClient: false,
});
const redis = new Redis(REDIS_URL);
const subscriber = redis.duplicate();
io.adapter(createAdapter(redis, redis.duplicate()));
const presence = new TutorialPresence(io, redis, Number(TTL_SECONDS));

async function userOf(token: unknown): Promise<string> {
  const { payload } = await jwtVerify(String(token), key);
  return String(payload.sub);
}

async function watch(socket: Socket, userIds: string[]) {
  await socket.join(userIds.map(watchersOf));
  return presence.statuses(userIds);
}

io.use((socket, next) => {
  userOf(socket.handshake.auth.token).then(
    (userId) => {
      socket.data.userId = userId;
      next();
    },
    () => next(new Error('unauthenticated')),
  );
});
io.on('connection', async (socket) => {
  const { userId } = socket.data;
  socket.on('heartbeat', () => void presence.beat(userId));
  socket.on('watch', async ({ userIds }, acknowledge) =>
    acknowledge({ ok: true, users: await watch(socket, userIds) }),
  );
  socket.on('set_status', async ({ status }, acknowledge) => {
    await presence.choose(userId, status);
    acknowledge({ ok: true });
  });
  handleRooms(socket);
  socket.on('disconnect', () => void presence.left(userId));
  await presence.came(userId);
  socket.emit('ready', { userId, users: await watch(socket, socket.handshake.auth.watch ?? []) });
});

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  await userOf(request.headers.authorization?.slice('Bearer '.length));
  let body = '';
  for await (const chunk of request) body += chunk;
  const [, list, named = ''] = (request.url ?? '').split('/');
  if (list === 'rooms') {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ roomId: named, users: await usersIn(io, named) }));
    return;
  }
  const users = await presence.statuses(request.method === 'POST' ? JSON.parse(body).userIds : [named]);
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(request.method === 'POST' ? { users } : users[0]));
}

await presence.followExpired(subscriber);
http.listen(Number(PORT), '127.0.0.1', 4096, () => console.log(JSON.stringify({ msg: 'started' })));
