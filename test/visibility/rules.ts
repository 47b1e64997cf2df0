/** Who may see what, written out: nothing here is worked out by the code that it is to judge. */

export const RELATIONS = ['stranger', 'friend', 'blocked', 'blocking', 'blocked friend', 'self', 'service'] as const;
export type Relation = (typeof RELATIONS)[number];
export type Setting = 'everyone' | 'friends' | 'nobody';

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
  /** nothing: like somebody who never came; status: the last seen is kept from them. */
  sees: 'all' | 'status' | 'nothing';
}

const SETTINGS: Setting[] = ['everyone', 'friends', 'nobody'];

export const CASES: Case[] = RELATIONS.flatMap((relation) =>
  SETTINGS.flatMap((visibility) =>
    SETTINGS.map((lastSeenVisibility) => {
      const status = SEES[relation][visibility];
      const lastSeen = SEES[relation][lastSeenVisibility];
      return { relation, visibility, lastSeenVisibility, sees: !status ? 'nothing' : lastSeen ? 'all' : 'status' };
    }),
  ),
);

export const targetOf = ({ visibility, lastSeenVisibility }: Pick<Case, 'visibility' | 'lastSeenVisibility'>) =>
  `target:${visibility}:${lastSeenVisibility}`;

export const TARGETS = SETTINGS.flatMap((visibility) =>
  SETTINGS.map((lastSeenVisibility) => ({
    userId: targetOf({ visibility, lastSeenVisibility }),
    visibility,
    lastSeenVisibility,
  })),
);

export const viewerOf = (relation: Relation) => `viewer:${relation.replace(' ', '-')}`;

/** Those who are users of their own, beside the targets. */
export const VIEWERS = (['stranger', 'friend', 'blocked', 'blocking', 'blocked friend'] as const).map((relation) => ({
  relation,
  userId: viewerOf(relation),
}));
