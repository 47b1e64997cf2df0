import type { Config } from '../src/config/config.ts';
import type { Logger } from '../src/log.ts';
import { whatWaits } from '../src/postgres/waiting.ts';
import type { Stores } from '../src/stores.ts';
import { Background } from './background.ts';
import { ERASURES_STAY_MS, FeedKeeper } from './change-feed.ts';
import { MembershipKeeper } from './memberships.ts';
import { LEFT_TO_THE_WEB_MS, PrivacyKeeper, TOLD_ONCE_MORE_AFTER_MS } from './privacy.ts';

const ASK_EVERY_MS = 1000;
const PRIVACY_EVERY_MS = 1000;
const MEMBERSHIPS_EVERY_MS = 1000;
/** Changes gather for so long before they have positions, and for one webhook. */
const FEED_EVERY_MS = 250;

const AGES = { untoldMs: LEFT_TO_THE_WEB_MS, toldMs: TOLD_ONCE_MORE_AFTER_MS, erasureMs: ERASURES_STAY_MS };

/**
 * What the worker that sweeps sees to in PostgreSQL: what Redis has still to hear of, and the change feed. Once a second one question
 * tells what of it there is to do, and nothing is done that does not wait; the feed is kept four times a second while changes come.
 */
export class PostgresUpkeep {
  readonly #memberships: MembershipKeeper;
  readonly #feed: FeedKeeper;
  readonly #work: Record<'asking' | 'privacy' | 'removals' | 'feed' | 'erasures', Background>;

  constructor(stores: Stores, config: Pick<Config, 'webhooks'>, log: Logger) {
    const privacy = new PrivacyKeeper(stores);
    const memberships = new MembershipKeeper(stores);
    const feed = new FeedKeeper(stores, config);
    this.#memberships = memberships;
    this.#feed = feed;
    const every = (ms: number, pass: () => Promise<unknown>, complaint: string) =>
      new Background(ms, pass, log, complaint);
    this.#work = {
      asking: every(
        ASK_EVERY_MS,
        async () => {
          const { privacy, removals, arriving, erasures } = await whatWaits(stores.db, AGES);
          if (privacy) this.#work.privacy.tick();
          if (removals) this.#work.removals.tick();
          if (erasures) this.#work.erasures.tick();
          if (arriving) this.#feed.changesCome();
        },
        'What waits in PostgreSQL could not be asked',
      ),
      privacy: every(PRIVACY_EVERY_MS, () => privacy.pass(), 'A change of privacy could not be told'),
      removals: every(
        MEMBERSHIPS_EVERY_MS,
        () => memberships.pass(),
        'A removal from a conversation could not be told',
      ),
      feed: every(FEED_EVERY_MS, () => feed.pass(), 'The change feed could not be kept'),
      erasures: every(ASK_EVERY_MS, () => feed.dropErasures(), 'The change feed could not be kept'),
    };
  }

  /** Something has changed: the feed is kept at every tick for a while. */
  changesCome(): void {
    this.#feed.changesCome();
  }

  /** Begins what is due; call it as often as you like. `moved`: something has been told of somebody since it was called last. */
  tick(moved: boolean): void {
    if (moved) this.#feed.changesCome();
    this.#work.asking.tick();
    if (this.#memberships.comparesNow) this.#work.removals.tick();
    if (this.#feed.isDue) this.#work.feed.tick();
  }

  /** Resolves once nothing is under way, and nothing begins after that. */
  async stop(): Promise<void> {
    // Who asks begins the others.
    const { asking, ...others } = this.#work;
    await asking.stop();
    await Promise.all(Object.values(others).map((work) => work.stop()));
  }
}
