/** Who may know what of whom. */
export const VISIBILITIES = ['everyone', 'friends', 'nobody'] as const;
export type Visibility = (typeof VISIBILITIES)[number];

/** What a user allows. */
export interface Openness {
  visibility: Visibility;
  lastSeenVisibility: Visibility;
}

/** What is between a viewer and a user. A block counts whoever of the two made it. */
export interface Relation {
  self: boolean;
  friend: boolean;
  blocked: boolean;
}

/** `all`; `status`: the real status, but no last seen and no version it could be read from; `nothing`: as if never come. */
export type Sight = 'all' | 'status' | 'nothing';

/** All that decides over who sees a user, as of a revision; `friends` only where a setting asks for them. */
export interface Privacy extends Openness {
  /** Grows with every change; 0: never changed. */
  revision: number;
  friends: readonly string[];
  /** Whom the user blocks, and who blocks the user. */
  blocks: readonly string[];
}

export const OPEN: Openness = { visibility: 'everyone', lastSeenVisibility: 'everyone' };

function allows(visibility: Visibility, friend: boolean): boolean {
  return visibility === 'everyone' || (visibility === 'friends' && friend);
}

/** The one rule. The scripts in redis/lua and the query in postgres/social.ts follow it. */
export function sightOf({ visibility, lastSeenVisibility }: Openness, { self, friend, blocked }: Relation): Sight {
  if (self) return 'all';
  if (blocked || !allows(visibility, friend)) return 'nothing';
  return allows(lastSeenVisibility, friend) ? 'all' : 'status';
}

/** The stricter of two answers, where two stores may not agree yet. */
export function stricter(a: Sight, b: Sight): Sight {
  if (a === 'nothing' || b === 'nothing') return 'nothing';
  return a === 'status' || b === 'status' ? 'status' : 'all';
}
