import { addMember, isMember, removeMember } from '../postgres/conversations.ts';
import { sightOf } from '../presence/visibility.ts';
import type { Indicator } from '../redis/indicators.ts';
import type { Services } from '../services.ts';
import { guarded } from './guarded.ts';
import type { Presence } from './presence.ts';

/** Who belongs to which conversation, and who is typing or recording there. Throws UNAVAILABLE where a store is away. */
export class Conversations {
  readonly #services: Services;
  readonly #people: Pick<Presence, 'followUps' | 'relations'>;

  constructor(services: Services, people: Pick<Presence, 'followUps' | 'relations'>) {
    this.#services = services;
    this.#people = people;
  }

  async addMember(conversationId: string, userId: string): Promise<void> {
    const { db, indicators } = this.#services;
    await guarded(async () => {
      await addMember(db, conversationId, userId);
      await indicators.setMember(conversationId, userId, true);
    });
  }

  /** What the user was doing there ends, and its sockets are in the conversation no more. */
  async removeMember(conversationId: string, userId: string): Promise<void> {
    const { db, indicators } = this.#services;
    await guarded(async () => {
      await removeMember(db, conversationId, userId);
      await indicators.setMember(conversationId, userId, false);
      this.#people.followUps.add(await indicators.expel(conversationId, userId));
    });
  }

  async isMember(conversationId: string, userId: string): Promise<boolean> {
    const { db, indicators } = this.#services;
    return guarded(async () => {
      const cached = await indicators.cachedMember(conversationId, userId);
      if (cached !== null) return cached;
      if (!(await isMember(db, conversationId, userId))) return false;
      await indicators.cacheMember(conversationId, userId);
      // They may have left since.
      return (await indicators.cachedMember(conversationId, userId)) ?? true;
    });
  }

  /** Who is doing what there now, as far as the viewer may see them. */
  async doing(conversationId: string, viewerId: string) {
    const { indicators } = this.#services;
    return guarded(async () => {
      const all = await indicators.doing(conversationId);
      const seen = await Promise.all(
        all.map(async ({ userId }) => {
          if (userId === viewerId) return true;
          const known = await this.#people.relations(userId, [viewerId]);
          const [between] = known?.relations ?? [];
          return known && between && sightOf(known, { self: false, ...between }) !== 'nothing';
        }),
      );
      return all.filter((_, n) => seen[n]);
    });
  }

  async start(indicator: Indicator): Promise<void> {
    await guarded(async () => {
      // Who appears inactive is not seen typing either.
      if (await this.#services.store.isHidden(indicator.userId)) return;
      this.#people.followUps.add(await this.#services.indicators.start(indicator));
    });
  }

  async stop(indicator: Indicator): Promise<void> {
    await guarded(async () => {
      this.#people.followUps.add(await this.#services.indicators.stop(indicator));
    });
  }
}
