import type { PrivacyBefore } from '../../presence/change.ts';
import { type Access, accessOf, type Openness, type Ties } from '../../presence/visibility.ts';
import type { StatusReads } from '../../usecases/status-reads.ts';

const NOBODY_MAY = {
  visibility: 'nobody',
  lastSeenVisibility: 'nobody',
  lastSeenPrecision: 'exact',
  relations: [],
} as const;

interface Known {
  openness: Openness;
  ties: Map<string, Ties>;
}

/**
 * What viewers may see of users who do not show everything to everybody, for one telling: asked of Redis first, for the
 * telling itself must not wait between one viewer and the next.
 */
export class Accesses {
  readonly #reads: StatusReads;
  readonly #known = new Map<string, Known>();
  /** Of whom nobody can say who may see them: they are shown to nobody, and asked about again. */
  readonly unknown = new Set<string>();

  constructor(reads: StatusReads) {
    this.#reads = reads;
  }

  /**
   * Asks until what every viewer may see is known. `wanted` says of whom and for which viewers; it is asked again after
   * each answer, for somebody may have come meanwhile. Rejects with UNAVAILABLE.
   */
  async learn(wanted: () => Map<string, Set<string>>): Promise<void> {
    for (;;) {
      const asked: Promise<void>[] = [];
      for (const [userId, viewerIds] of wanted()) {
        const ties = this.#known.get(userId)?.ties;
        const lacking = [...viewerIds].filter((viewerId) => viewerId !== userId && !ties?.has(viewerId));
        if (lacking.length > 0) asked.push(this.#ask(userId, lacking));
      }
      if (asked.length === 0) return;
      await Promise.all(asked);
    }
  }

  /** What the viewer may see of the user; `nothing` where that was not asked for. */
  of(userId: string, viewerId: string | null): Access {
    return this.#access(userId, viewerId, (known) => known);
  }

  /** What the viewer could see before a change of the user's privacy. */
  before(userId: string, viewerId: string | null, privacy: PrivacyBefore): Access {
    const { friends, blocks, ...openness } = privacy;
    const was = (id: string, now: boolean, { added, removed }: { added: string[]; removed: string[] }) =>
      removed.includes(id) || (now && !added.includes(id));
    return this.#access(userId, viewerId, (known, id) => ({
      openness,
      friend: was(id, known.friend, friends),
      blocked: was(id, known.blocked, blocks),
    }));
  }

  #access(
    userId: string,
    viewerId: string | null,
    view: (known: Ties & { openness: Openness }, viewerId: string) => Ties & { openness: Openness },
  ): Access {
    if (viewerId === null || viewerId === userId) return 'all';
    const known = this.#known.get(userId);
    const ties = known?.ties.get(viewerId);
    // Nobody asked for this viewer: rather nothing than too much.
    if (!known || !ties) return 'nothing';
    const { openness, friend, blocked } = view({ openness: known.openness, ...ties }, viewerId);
    return accessOf(openness, { self: false, friend, blocked });
  }

  async #ask(userId: string, viewerIds: string[]): Promise<void> {
    const answer = await this.#reads.relations(userId, viewerIds);
    if (answer === null) this.unknown.add(userId);
    const { relations, ...openness } = answer ?? NOBODY_MAY;
    const ties = this.#known.get(userId)?.ties ?? new Map<string, Ties>();
    for (const [n, viewerId] of viewerIds.entries()) {
      ties.set(viewerId, relations[n] ?? { friend: false, blocked: true });
    }
    this.#known.set(userId, { openness, ties });
  }
}
