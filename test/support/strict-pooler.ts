import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** What PgBouncer knows of the start of a connection; it refuses whoever says more. */
const KNOWN = new Set(['user', 'database', 'client_encoding', 'datestyle', 'timezone', 'standard_conforming_strings']);
KNOWN.add('application_name');

/** Passes on to a PostgreSQL whoever says no more at the start than PgBouncer takes, and keeps what others said. */
export async function strictPooler(postgresUrl: string) {
  const { hostname, port } = new URL(postgresUrl);
  const refused: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    sockets.add(client);
    client.on('error', () => {}).on('close', () => sockets.delete(client));
    client.once('data', (packet) => {
      const words = packet.subarray(8).toString().split('\0');
      const names = words.filter((name, n) => n % 2 === 0 && name !== '').map((name) => name.toLowerCase());
      const unknown = names.filter((name) => !KNOWN.has(name));
      refused.push(...unknown);
      if (unknown.length > 0) {
        client.destroy();
        return;
      }
      const behind = connect(Number(port), hostname, () => {
        behind.write(packet);
        behind.pipe(client).pipe(behind);
      });
      behind.on('error', () => client.destroy());
      client.on('close', () => behind.destroy());
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    refused,
    through: (url: string) => Object.assign(new URL(url), { port: `${(server.address() as AddressInfo).port}` }).href,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
