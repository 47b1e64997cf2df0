/** Who may know what of whom. */
export const VISIBILITIES = ['everyone', 'friends', 'nobody'] as const;
export type Visibility = (typeof VISIBILITIES)[number];

/** What a user allows. */
export interface Openness {
  visibility: Visibility;
  lastSeenVisibility: Visibility;
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

/** `all`; `status`: the real status, but no last seen and no version it could be read from; `nothing`: as if never come. */
export type Access = 'all' | 'status' | 'nothing';

/** What decides over who sees a user, as of a revision, but for the lists of friends and blocks. */
export interface Privacy extends Openness {
  /** Grows with every change: at least the one before + 1, at least now in ms. 0: nothing was ever restricted. */
  revision: number;
  /** Everybody may see everything: both settings say everyone, and nobody blocks anybody. */
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

export const OPEN: Openness = { visibility: 'everyone', lastSeenVisibility: 'everyone' };

/** Whether it matters who a user's friends are. */
export function asksForFriends({ visibility, lastSeenVisibility }: Openness): boolean {
  return visibility === 'friends' || lastSeenVisibility === 'friends';
}

function allows(visibility: Visibility, friend: boolean): boolean {
  return visibility === 'everyone' || (visibility === 'friends' && friend);
}

/**
 * What a viewer may see of a user, by what the user allows and what is between the two. The one rule, without a clock: the
 * scripts in redis/lua (lib-privacy) and the queries in postgres/social.ts and postgres/alerts.ts follow it.
 */
export function accessOf({ visibility, lastSeenVisibility }: Openness, { self, friend, blocked }: Relation): Access {
  if (self) return 'all';
  if (blocked || !allows(visibility, friend)) return 'nothing';
  return allows(lastSeenVisibility, friend) ? 'all' : 'status';
}

/** The stricter of two answers, where two stores may not agree yet. */
export function stricter(a: Access, b: Access): Access {
  if (a === 'nothing' || b === 'nothing') return 'nothing';
  return a === 'status' || b === 'status' ? 'status' : 'all';
}
