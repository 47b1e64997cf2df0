import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** One address in front of several webs: each connection goes to the next of them that takes it. */
export interface Balancer {
  url: string;
  close(): Promise<void>;
}

export async function balance(urls: string[]): Promise<Balancer> {
  const ports = urls.map((url) => Number(new URL(url).port));
  const open = new Set<Socket>();
  let turn = 0;
  const server = createServer((near) => {
    open.add(near);
    near.on('error', () => near.destroy());
    near.once('close', () => open.delete(near));
    attempt(near, ports.length);
  });

  function attempt(near: Socket, left: number): void {
    if (left === 0) return void near.destroy();
    const far = connect(ports[turn++ % ports.length] ?? 0, '127.0.0.1');
    const elsewhere = () => attempt(near, left - 1);
    far.once('error', elsewhere);
    far.once('connect', () => {
      far.off('error', elsewhere);
      far.on('error', () => near.destroy());
      far.once('close', () => near.destroy());
      near.once('close', () => far.destroy());
      near.pipe(far).pipe(near);
    });
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
