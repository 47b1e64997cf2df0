/** Who may know what of whom. */
export const VISIBILITIES = ['everyone', 'friends', 'nobody'] as const;
export type Visibility = (typeof VISIBILITIES)[number];

/** How exactly the last seen is told to others who may know it. */
export const PRECISIONS = ['exact', 'coarse'] as const;
export type Precision = (typeof PRECISIONS)[number];

/** What a user allows. */
export interface Openness {
  visibility: Visibility;
  lastSeenVisibility: Visibility;
  lastSeenPrecision: Precision;
}

/** What is between two users. A block counts whoever of the two made it. */
export interface Ties {
  friend: boolean;
  blocked: boolean;
}

/** What a viewer is to a user. */
export interface Relation extends Ties {
  self: boolean;
}

/**
 * `all`; `coarse`: the real status, and about how long ago the user was seen; `status`: not even that; `nothing`: as if never
 * come. But for `all` no moment of the user's is told, nor a version from which one could be read.
 */
export type Access = 'all' | 'coarse' | 'status' | 'nothing';

/** What decides over who sees a user, as of a revision, but for the lists of friends and blocks. */
export interface Privacy extends Openness {
  /** Grows with every change: at least the one before + 1, at least now in ms. 0: nothing was ever restricted. */
  revision: number;
  /** Everybody may see everything: both settings say everyone, exactly, and nobody blocks anybody. */
  open: boolean;
}

/** Who came to a list and who went. */
export interface Difference {
  added: readonly string[];
  removed: readonly string[];
}

export const NO_DIFFERENCE: Difference = { added: [], removed: [] };

/** What a change of privacy did to the revision before it. */
export interface PrivacyStep {
  /** The revision that the differences are from. */
  previous: number;
  /** Whether everything was open then. */
  wasOpen: boolean;
  /** Whether the user did it; a block does it to two. */
  own: boolean;
  /** It did not matter who the friends are, and now it does: all of them count, and `friends` does not name them. */
  friendsBegin: boolean;
  friends: Difference;
  blocks: Difference;
}

export const OPEN: Openness = { visibility: 'everyone', lastSeenVisibility: 'everyone', lastSeenPrecision: 'exact' };

/** Whether it matters who a user's friends are. */
export function asksForFriends({ visibility, lastSeenVisibility }: Omit<Openness, 'lastSeenPrecision'>): boolean {
  return visibility === 'friends' || lastSeenVisibility === 'friends';
}

function allows(visibility: Visibility, friend: boolean): boolean {
  return visibility === 'everyone' || (visibility === 'friends' && friend);
}

/**
 * What a viewer may see of a user, by what the user allows and what is between the two. The one rule, without a clock: the
 * scripts in redis/lua (lib-privacy) and the queries in postgres/social.ts and postgres/alerts.ts follow it.
 */
export function accessOf(openness: Openness, { self, friend, blocked }: Relation): Access {
  const { visibility, lastSeenVisibility, lastSeenPrecision } = openness;
  if (self) return 'all';
  if (blocked || !allows(visibility, friend)) return 'nothing';
  if (!allows(lastSeenVisibility, friend)) return 'status';
  return lastSeenPrecision === 'coarse' ? 'coarse' : 'all';
}

const STRICTEST_FIRST: readonly Access[] = ['nothing', 'status', 'coarse', 'all'];

/** The stricter of two answers, where two stores may not agree yet. */
export function stricter(a: Access, b: Access): Access {
  return STRICTEST_FIRST.find((access) => a === access || b === access) ?? 'nothing';
}
