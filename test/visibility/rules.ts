/** Who may see what, written out: nothing here is worked out by the code that it is to judge. */

export const RELATIONS = ['stranger', 'friend', 'blocked', 'blocking', 'blocked friend', 'self', 'service'] as const;
export type Relation = (typeof RELATIONS)[number];
export type Setting = 'everyone' | 'friends' | 'nobody';
type Precision = 'exact' | 'coarse';

const SEES: Record<Relation, Record<Setting, boolean>> = {
  stranger: { everyone: true, friends: false, nobody: false },
  friend: { everyone: true, friends: true, nobody: false },
  // By the user who is looked at.
  blocked: { everyone: false, friends: false, nobody: false },
  // The viewer blocks the user.
  blocking: { everyone: false, friends: false, nobody: false },
  'blocked friend': { everyone: false, friends: false, nobody: false },
  self: { everyone: true, friends: true, nobody: true },
  service: { everyone: true, friends: true, nobody: true },
};

export interface Case {
  relation: Relation;
  visibility: Setting;
  lastSeenVisibility: Setting;
  lastSeenPrecision: Precision;
  /** nothing: like somebody who never came; status: the last seen is kept from them; coarse: all but its moment is. */
  sees: 'all' | 'coarse' | 'status' | 'nothing';
}

const SETTINGS: Setting[] = ['everyone', 'friends', 'nobody'];

const PRECISIONS: Precision[] = ['exact', 'coarse'];

/** Every way to set these three. How exactly is of no matter to who may know nothing at all. */
const ALLOWED = SETTINGS.flatMap((visibility) =>
  SETTINGS.flatMap((lastSeenVisibility) =>
    PRECISIONS.filter((precision) => precision === 'exact' || visibility !== 'nobody').map((lastSeenPrecision) => ({
      visibility,
      lastSeenVisibility,
      lastSeenPrecision,
    })),
  ),
);

export const CASES: Case[] = RELATIONS.flatMap((relation) =>
  ALLOWED.map((allowed) => {
    const status = SEES[relation][allowed.visibility];
    const lastSeen = SEES[relation][allowed.lastSeenVisibility];
    const isOwn = relation === 'self' || relation === 'service';
    const known = allowed.lastSeenPrecision === 'exact' || isOwn ? 'all' : 'coarse';
    return { relation, ...allowed, sees: !status ? 'nothing' : lastSeen ? known : 'status' };
  }),
);

export const targetOf = (allowed: Pick<Case, 'visibility' | 'lastSeenVisibility' | 'lastSeenPrecision'>) =>
  `target:${allowed.visibility}:${allowed.lastSeenVisibility}:${allowed.lastSeenPrecision}`;

export const TARGETS = ALLOWED.map((allowed) => ({ userId: targetOf(allowed), ...allowed }));

export const viewerOf = (relation: Relation) => `viewer:${relation.replace(' ', '-')}`;

/** Those who are users of their own, beside the targets. */
export const VIEWERS = (['stranger', 'friend', 'blocked', 'blocking', 'blocked friend'] as const).map((relation) => ({
  relation,
  userId: viewerOf(relation),
}));
