import type { TestClient } from './client.ts';
import { isActive } from './client.ts';
import { type Deployment, eventually, type WebProgram } from './deployment.ts';
import { Link } from './link.ts';

/** A web whose only way to Redis is a link that can be cut. */
export async function webBehindLink(
  rollcall: Deployment,
  env: Record<string, string> = {},
): Promise<{ web: WebProgram; link: Link }> {
  const address = new URL(rollcall.env.REDIS_URL ?? '');
  const link = await Link.to(Number(address.port));
  address.port = String(link.port);
  return { web: await rollcall.addWeb({ REDIS_URL: address.href, ...env }), link };
}

/** How a web may lose Redis: its lines carry nothing and tell nobody, or they break and no new one comes about. */
export const LOSSES = ['cut', 'refuse'] as const;

interface Cast {
  rollcall: Deployment;
  link: Link;
  /** On the web behind the link. */
  watcher: TestClient;
  connect(userId: string): Promise<TestClient>;
}

/**
 * Behind the back of the web that lost Redis somebody leaves, somebody comes, somebody leaves and comes back. Returns
 * how long after the mending (ms) the watcher knew the truth of all, on the connection it had all along.
 */
export async function missAndCatchUp(
  { rollcall, link, watcher, connect }: Cast,
  loss: (typeof LOSSES)[number],
  lossMs: number,
): Promise<number> {
  const [leaves, comes, bounces] = ['leaves', 'comes', 'bounces'].map((name) => `${name}-${loss}`);
  if (!leaves || !comes || !bounces) throw new Error('names');
  const leaving = await connect(leaves);
  const bouncing = await connect(bounces);
  await watcher.watch(leaves, comes, bounces, `stays-${loss}`);
  await connect(`stays-${loss}`);
  await watcher.hears(`stays-${loss}`, isActive);
  const before = watcher.heard.length;

  const from = performance.now();
  link[loss]();
  leaving.leave();
  bouncing.leave();
  await connect(comes);
  const active = (userId: string) => rollcall.redis.exists(rollcall.key(`user:status:${userId}`));
  await eventually(
    () => active(bounces),
    (exists) => exists === 0,
  );
  await connect(bounces);
  await new Promise((resolve) => setTimeout(resolve, lossMs - (performance.now() - from)));
  if (watcher.heard.length > before) throw new Error('The watcher heard of something while its web had no Redis');
  link.mend();
  const mended = performance.now();
  const last = (userId: string) => watcher.of(userId).at(-1)?.status;
  await watcher.until(
    // Of who left and came back both may be told, one after the other.
    () => (last(leaves) === 'inactive' && last(comes) === 'active' && last(bounces) === 'active') || undefined,
    'what it missed',
    10_000,
  );
  const caughtUpMs = performance.now() - mended;
  if (last(`stays-${loss}`) !== 'active') throw new Error('Who stayed was told away');
  if (watcher.disconnects.length > 0) throw new Error('The watcher had to reconnect');
  return caughtUpMs;
}
