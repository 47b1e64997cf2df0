import { addMember, isMember, removeMember } from '../postgres/conversations.ts';
import type { Indicator } from '../redis/indicators.ts';
import type { Services } from '../services.ts';
import type { FollowUps } from './follow-ups.ts';
import { guarded } from './presence.ts';

/** Who belongs to which conversation, and who is typing or recording there. Throws UNAVAILABLE where a store is away. */
export class Conversations {
  readonly #services: Services;
  readonly #followUps: FollowUps;

  constructor(services: Services, followUps: FollowUps) {
    this.#services = services;
    this.#followUps = followUps;
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
      this.#followUps.add(await indicators.expel(conversationId, userId));
    });
  }

  async isMember(conversationId: string, userId: string): Promise<boolean> {
    const { db, indicators } = this.#services;
    return guarded(async () => {
      const cached = await indicators.cachedMember(conversationId, userId);
      if (cached !== null) return cached;
      await indicators.cacheMember(conversationId, userId, await isMember(db, conversationId, userId));
      // What is cached by now may be newer than what was just read.
      return (await indicators.cachedMember(conversationId, userId)) ?? false;
    });
  }

  doing(conversationId: string) {
    return guarded(() => this.#services.indicators.doing(conversationId));
  }

  async start(indicator: Indicator): Promise<void> {
    await guarded(async () => {
      // Who appears inactive is not seen typing either.
      if (await this.#services.store.isHidden(indicator.userId)) return;
      this.#followUps.add(await this.#services.indicators.start(indicator));
    });
  }

  async stop(indicator: Indicator): Promise<void> {
    await guarded(async () => {
      this.#followUps.add(await this.#services.indicators.stop(indicator));
    });
  }
}
