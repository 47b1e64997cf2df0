import { migrationsLeft, usersAbout } from '../postgres/migrations-left.ts';
import type { Progress } from '../protocol/console.ts';
import type { Stores } from '../stores.ts';

/** Work that Redis has to itself for a moment after it came back: restores by the webs and the record of what was left. */
const SETTLE_MARGIN_MS = 5000;

/** How long (ms) everybody has to come back after Redis lost something, before who has not is settled. */
export function timeToReturnMs({ ttlMs, handoverMs }: { ttlMs: number; handoverMs: number }): number {
  return ttlMs + handoverMs + SETTLE_MARGIN_MS;
}

type Asked = Pick<Stores, 'db' | 'seen' | 'losses' | 'outbox'>;

/** What takes long and is under way, or is still to be done: nothing, as a rule. */
export async function readProgress(stores: Asked, config: { ttlMs: number; handoverMs: number }): Promise<Progress[]> {
  const all = await Promise.all([
    settling(stores, timeToReturnMs(config)).catch(() => null),
    indexing(stores).catch(() => null),
    migrating(stores).catch(() => null),
  ]);
  return all.filter((progress) => progress !== null);
}

async function settling({ losses, outbox }: Asked, timeToReturn: number): Promise<Progress | null> {
  const { now, epoch, since, settled } = await losses.state();
  if (epoch === settled || since === 0) return null;
  const leftMs = since + timeToReturn - now;
  if (leftMs > 0) {
    const text = `Redis holds nothing older than ${seconds(now - since)}. Everybody has another ${seconds(leftMs)} to come back; then whoever has not is told inactive.`;
    return { what: 'settling', text, part: share(now - since, timeToReturn) };
  }
  const recorded = await outbox.allRecorded();
  const text = recorded
    ? 'Whoever PostgreSQL remembers as active and who did not come back to Redis is being told inactive.'
    : 'Redis began anew. Changes are still to be recorded; then whoever has not come back is told inactive.';
  return { what: 'settling', text, part: null };
}

async function indexing({ seen, db }: Asked): Promise<Progress | null> {
  const { epoch, complete } = await seen.state();
  if (complete || epoch === '') return null;
  const [size, about, upTo] = await Promise.all([
    seen.size(),
    usersAbout(db).catch(() => null),
    seen.completedUpTo(epoch),
  ]);
  const begun = upTo === '' ? 'is about to be' : 'is being';
  const of = about ? ` out of some ${about.toLocaleString('en')} users` : '';
  const text = `Who was seen in the last 30 days ${begun} read from PostgreSQL: ${size.toLocaleString('en')}${of} so far. Until then nobody is told how many were active.`;
  return { what: 'index', text, part: about ? share(size, about) : null };
}

async function migrating({ db }: Asked): Promise<Progress | null> {
  const { all, left, running } = await migrationsLeft(db);
  if (left === 0 && !running) return null;
  const steps = `${all - left} of ${all} steps of the database are done`;
  const text = running ? `A migration is under way: ${steps}.` : `${steps}: run \`npm run migrate\`.`;
  return { what: 'migrating', text, part: share(all - left, all) };
}

const share = (done: number, of: number) => Math.max(0, Math.min(1, done / of));
const seconds = (ms: number) => `${Math.max(0, Math.round(ms / 1000))} s`;
