import { addMember, isMember, type Membership, removeMember, withoutMembers } from '../postgres/conversations.ts';
import { isConnectionError } from '../postgres/errors.ts';
import { markRemovalsTold, untoldOf } from '../postgres/membership-changes.ts';
import { accessOf } from '../presence/visibility.ts';
import type { Indicator } from '../redis/indicators.ts';
import type { Stores } from '../stores.ts';
import type { Presence } from './presence.ts';
import { orUnavailable } from './unavailable.ts';

/** Conversations: who belongs to which, and who is typing or recording there. Throws UNAVAILABLE where a store is away. */
export class Conversations {
  readonly #stores: Stores;
  readonly #people: Pick<Presence, 'followUps' | 'reads'>;

  constructor(stores: Stores, people: Pick<Presence, 'followUps' | 'reads'>) {
    this.#stores = stores;
    this.#people = people;
  }

  /** Makes a user a member. Redis has to hear of nothing: that somebody is no member is kept nowhere. */
  async addMember(conversationId: string, userId: string): Promise<void> {
    await orUnavailable(() => addMember(this.#stores.db, { conversationId, userId }));
  }

  /**
   * Takes a user out of a conversation: what they were doing there ends, and their sockets are in it no more. In
   * PostgreSQL first: where Redis cannot be told, a worker tells it as soon as it is back.
   */
  async removeMember(conversationId: string, userId: string): Promise<void> {
    const { db, memberships } = this.#stores;
    const membership = { conversationId, userId };
    await orUnavailable(async () => {
      await removeMember(db, membership);
      const untold = await untoldOf(db, [membership]);
      // Told in any case: whoever asks again may have had no answer, or has reason to.
      this.#people.followUps.add(await memberships.remove(conversationId, userId));
      try {
        await markRemovalsTold(db, untold);
      } catch (error) {
        // It is told; that it is told once more does no harm.
        if (!isConnectionError(error)) throw error;
      }
    });
  }

  /** Whether the user is a member, by Redis where PostgreSQL said so lately. */
  async isMember(conversationId: string, userId: string): Promise<boolean> {
    const { db, memberships } = this.#stores;
    return orUnavailable(async () => {
      if (await memberships.isKept(conversationId, userId)) return true;
      if (!(await isMember(db, { conversationId, userId }))) return false;
      await memberships.keep(conversationId, userId);
      return true;
    });
  }

  /** Those memberships that do not exist any more, as PostgreSQL has it now. */
  async removed(joined: readonly Membership[]): Promise<Membership[]> {
    return orUnavailable(() => withoutMembers(this.#stores.db, joined));
  }

  /** Users who are doing something in a conversation now, and what, as far as the viewer may see them. */
  async indicatorsIn(conversationId: string, viewerId: string) {
    const { indicators } = this.#stores;
    return orUnavailable(async () => {
      const all = await indicators.inConversation(conversationId);
      const seen = await Promise.all(
        all.map(async ({ userId }) => {
          if (userId === viewerId) return true;
          const known = await this.#people.reads.relations(userId, [viewerId]);
          const [between] = known?.relations ?? [];
          return known && between && accessOf(known, { self: false, ...between }) !== 'nothing';
        }),
      );
      return all.filter((_, n) => seen[n]);
    });
  }

  /** Begins an indicator, or prolongs it. */
  async start(indicator: Indicator): Promise<void> {
    await orUnavailable(async () => {
      // Who appears inactive is not seen typing either.
      if (await this.#stores.records.isHidden(indicator.userId)) return;
      this.#people.followUps.add(await this.#stores.indicators.start(indicator));
    });
  }

  /** Ends an indicator. */
  async stop(indicator: Indicator): Promise<void> {
    await orUnavailable(async () => {
      this.#people.followUps.add(await this.#stores.indicators.stop(indicator));
    });
  }
}
