import { createServer } from 'node:http';
import { Server } from 'socket.io';

// The least that a server with Socket.IO can do: lets everybody in, and a handler hears what they say and does nothing.
const answer = JSON.stringify({ userId: 'somebody', status: 'active', lastSeen: '2026-01-01T00:00:00.000Z' });
const http = createServer((request, response) => {
  request.resume().once('end', () => {
    response.setHeader('content-type', 'application/json').end(answer);
  });
});
const io = new Server(http, {
  transports: ['websocket'],
  pingInterval: Number(process.env.PING_SECONDS ?? 25) * 1000,
  perMessageDeflate: false,
  serveClient: false,
});
io.on('connection', (socket) => {
  socket.on('heartbeat', () => {});
});
http.listen(Number(process.env.PORT), '127.0.0.1', 4096, () => console.log(JSON.stringify({ msg: 'started' })));
