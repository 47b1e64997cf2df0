import type { ShownDetail } from '../../../src/protocol/vocabulary.ts';
import { rest, tokenFor } from '../../support/client.ts';
import type { Finding, Scene } from './checks.ts';
import { mayHideWithin } from './details-told.ts';
import { within } from './device.ts';
import { idleSinceWithin, isIdle } from './idle.ts';
import type { Member } from './member.ts';
import type { Person } from './person.ts';
import { readSources, type SourceRow } from './stores.ts';
import { WITHIN_MS } from './world.ts';

/** Readings of two clocks, and what a beat takes on its way. */
const SLACK_MS = 300;

/** What must be shown of somebody: one of these texts (null: none), and whether as idle (null: nobody knows). */
interface Expected {
  person: Person;
  isHidden: boolean;
  texts: Set<string | null>;
  idle: boolean | null;
}

/**
 * Where watchers, REST or PostgreSQL say something else of what people show beside the status than the strongest source
 * that is in force, and than what their sessions say of who is before them. Nobody is asked as long as it is to be seen without,
 * since whoever looks at users has what is overdue done.
 */
export async function differingDetails(scene: Scene): Promise<Finding[]> {
  const { world, people } = scene;
  const now = Date.now();
  const span = { from: now - WITHIN_MS - SLACK_MS - world.machine.taken(now - WITHIN_MS, now), to: now + SLACK_MS };
  const expected = people.flatMap((person): Expected[] => {
    const isHidden = person.hiddenAt(now);
    if (isHidden === null || isForgotten(scene, person)) return [];
    const idle = isHidden ? false : isIdle(world, person, now);
    return [{ person, isHidden, texts: person.sources.strongestIn(span), idle }];
  });
  const rows = await readSources(
    world,
    people.map(({ userId }) => userId),
  );
  const found = expected.flatMap((one) => [...asWatched(scene, one), ...asStored(one, rows, now)]);
  if (found.length === 0) {
    for (const [n, web] of world.webs.entries()) {
      const asked = expected.filter((_, place) => place % world.webs.length === n);
      found.push(...(await asAnswered(web, expected)), ...(await asListed(scene, web, asked)));
    }
  }
  return [...new Set(found)].map((text) => ({ kind: text.includes('idle') ? 'idle' : 'detail', text }));
}

/**
 * Whether a failover, or a return with an older dump, may have lost what is said of somebody who is not here: only those who are, or
 * of whom something ends by itself, are compared with PostgreSQL then (docs/reliability.md, "What is tolerated").
 */
function isForgotten({ world }: Scene, { devices, sources }: Person): boolean {
  if (devices.some(({ alive }) => alive)) return false;
  const losses = world.redis.losses.filter(({ how }) => how !== 'emptied');
  return losses.some((loss) => sources.sayings.some(({ from, to }) => from <= loss.to && to + WITHIN_MS >= loss.from));
}

function asWatched({ watchers }: Scene, one: Expected): string[] {
  const { person, isHidden } = one;
  return watchers.flatMap((watcher) => {
    const view = watcher.view.get(person.userId);
    // Of who is not here an audience of everyone has no picture, and of who is hidden services are not told what becomes another.
    if (!view && watcher.isOfEveryone) return [];
    if (isHidden && watcher.isInsider) return [];
    const detail = view?.detail ?? {};
    // Nor is what was over by the end of it: the next change says so.
    if (watcher.isInsider && detail.text && mayHideWithin(person, person.sources.overFrom(detail.text), Date.now()))
      return [];
    return compare(watcher.label, one, detail, isHidden).map((text) => `${text}; ${watcher.lastHeard(person.userId)}`);
  });
}

function asStored({ person }: Expected, rows: readonly SourceRow[], now: number): string[] {
  const stored = rows.filter(({ userId }) => userId === person.userId).map(({ source, text }) => `${source}: ${text}`);
  const [before, after] = [now - SLACK_MS, Date.now() + SLACK_MS].map((at) =>
    person.sources.inForce(at).map(({ source, text }) => `${source}: ${text}`),
  );
  const missing = after?.filter((one) => before?.includes(one) && !stored.includes(one)) ?? [];
  const further = stored.filter((one) => !before?.includes(one));
  if (missing.length + further.length === 0) return [];
  return [`PostgreSQL has of ${person.userId} [${stored}], and not [${missing}], of whom was said [${before}]`];
}

/** By the door for many, as a service and as a user. */
async function asAnswered(web: Member, expected: readonly Expected[]): Promise<string[]> {
  const userIds = expected.map(({ person }) => person.userId);
  const service = await tokenFor('observer', { scope: 'presence:read' });
  const answers = [service, await tokenFor('stranger')].map(async (token) => {
    const path = '/users/status/query?include=detail,devices,version';
    const answer = await within(rest(`http://127.0.0.1:${web.port}`, 'POST', path, { token, body: { userIds } }), 3000);
    const as = `REST of ${web.name} to a ${token === service ? 'service' : 'user'}`;
    if (answer?.status !== 200) return [`${as} answers ${answer?.status} of details`];
    return expected.flatMap((one, n) => {
      const { detail, devices } = answer.body.users[n];
      const devicesSay =
        one.isHidden && devices.length > 0 ? [`${as} shows devices of ${one.person.userId}, who is hidden`] : [];
      return [...compare(as, one, detail, one.isHidden && token !== service), ...devicesSay];
    });
  });
  return (await Promise.all(answers)).flat();
}

/** By the lists of sessions and of sources: what is shown has to follow from them, and they from what people did. */
async function asListed({ watchers }: Scene, web: Member, expected: readonly Expected[]): Promise<string[]> {
  const token = await tokenFor('observer', { scope: 'presence:read' });
  const ask = async (path: string) => {
    const answer = await within(rest(`http://127.0.0.1:${web.port}`, 'GET', path, { token }), 3000);
    return answer?.status === 200 ? answer.body : null;
  };
  const lists = expected.map(async ({ person, isHidden }) => {
    const [before, listed] = [
      person.sources.inForce(Date.now() + SLACK_MS),
      await ask(`/users/${person.userId}/detail`),
    ];
    const found: string[] = [];
    const sources = (listed?.sources ?? []).map(({ text }: { text: string }) => text);
    const isSame = before.every(({ text }) => sources.includes(text));
    const isKnown = sources.every((text: string) =>
      person.sources.inForce(Date.now() - SLACK_MS).some((one) => one.text === text),
    );
    const order = person.sources
      .inForce(0)
      .map(({ text }) => text)
      .filter((text) => sources.includes(text));
    if (!isSame || !isKnown || order.join() !== sources.join()) {
      found.push(
        `${web.name} lists as what is said of ${person.userId} [${sources}], which is [${before.map(({ text }) => text)}]`,
      );
    }
    const sessions: { sessionId: string; state: string }[] =
      (await ask(`/users/${person.userId}/sessions`))?.sessions ?? [];
    for (const device of person.devices.filter(({ alive }) => alive)) {
      const listedState = sessions.find(({ sessionId }) => sessionId === device.sessionId)?.state;
      if (listedState !== device.state)
        found.push(
          `${web.name} lists ${device.deviceId} as ${listedState}, which says it is ${device.state}, not idle or idle`,
        );
    }
    if (isHidden) return found;
    const isIdle = sessions.length > 0 && sessions.every(({ state }) => state === 'idle');
    for (const watcher of watchers) {
      const view = watcher.view.get(person.userId);
      if (!view && watcher.isOfEveryone) continue;
      const shown = view?.detail.idle === true;
      if (shown !== isIdle)
        found.push(
          `${watcher.label} takes ${person.userId} for ${shown ? '' : 'not '}idle, whose sessions are ${sessions.map(({ state }) => state)}`,
        );
    }
    return found;
  });
  return (await Promise.all(lists)).flat();
}

function compare(who: string, { person, texts, idle }: Expected, detail: ShownDetail, isNothing: boolean): string[] {
  const found: string[] = [];
  const text = detail.text ?? null;
  const allowed = isNothing ? new Set([null]) : texts;
  if (!allowed.has(text))
    found.push(`${who} has of ${person.userId} "${text}" and not "${[...allowed].join('" or "')}"`);
  const isShownIdle = detail.idle === true;
  if (idle !== null && isShownIdle !== idle) {
    found.push(
      `${who} takes ${person.userId} for ${isShownIdle ? 'idle' : 'not idle'}, who is ${idle ? 'idle' : 'not'}`,
    );
  }
  if (!isShownIdle) return found;
  const since = Date.parse(detail.idleSince ?? '');
  const { from, to } = idleSinceWithin(person.world, person, Date.now());
  if (since >= from - SLACK_MS && since <= to + SLACK_MS) return found;
  const bounds = [from, to].map((at) => new Date(at).toISOString()).join(' and ');
  return [
    ...found,
    `${who} takes ${person.userId} for idle since ${detail.idleSince}, which lies not between ${bounds}`,
  ];
}
