import type { Server, Socket } from 'socket.io';

// Who is in a room, as people write it by hand: Socket.IO's own rooms, an event to the others, and all sockets asked for a list.
const nameOf = (roomId: string) => `room:${roomId}`;

type Acknowledge = (answer: { ok: boolean }) => void;

/** What a client says of rooms. Who there is has to be asked for. */
export function handleRooms(socket: Socket): void {
  const { userId } = socket.data;
  socket.on('join_room', async ({ roomId }, acknowledge: Acknowledge) => {
    socket.data.since = new Date().toISOString();
    await socket.join(nameOf(roomId));
    socket.to(nameOf(roomId)).emit('room_change', { roomId, joined: [{ userId, since: socket.data.since }] });
    acknowledge({ ok: true });
  });
  socket.on('watch_room', async ({ roomId }, acknowledge: Acknowledge) => {
    await socket.join(nameOf(roomId));
    acknowledge({ ok: true });
  });
  socket.on('update_room', ({ roomId, data }, acknowledge: Acknowledge) => {
    socket.to(nameOf(roomId)).emit('room_change', { roomId, changed: [{ userId, data }] });
    acknowledge({ ok: true });
  });
  socket.on('leave_room', async ({ roomId }, acknowledge: Acknowledge) => {
    await socket.leave(nameOf(roomId));
    socket.to(nameOf(roomId)).emit('room_change', { roomId, left: [{ userId }] });
    acknowledge({ ok: true });
  });
}

/** Asks every process for its sockets there, and merges those of one user. */
export async function usersIn(io: Server, roomId: string): Promise<{ userId: string; since: string }[]> {
  const users = new Map<string, { userId: string; since: string }>();
  for (const { data } of await io.in(nameOf(roomId)).fetchSockets()) {
    users.set(data.userId, { userId: data.userId, since: data.since });
  }
  return [...users.values()];
}
