import type { PrivacyBefore, PrivacyUnknown } from '../presence/change.ts';
import { VISIBILITIES, type Visibility } from '../presence/visibility.ts';

/** How the scripts spell what a user allows. */
export const CODE_OF: Record<Visibility, string> = { everyone: 'e', friends: 'f', nobody: 'n' };

const VISIBILITY_OF = new Map(VISIBILITIES.map((visibility) => [CODE_OF[visibility], visibility]));

/** The visibility that a letter in Redis stands for; `nobody` for a letter that nobody wrote. */
export function visibilityOf(code: unknown): Visibility {
  return VISIBILITY_OF.get(String(code)) ?? 'nobody';
}

/** Lua's empty table is an object to JSON. */
function list(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

/** What the scripts noted of a user's privacy before it changed (lua/lib-budget.lua, lua/set-privacy.lua). */
export type PrivacyNoted = Record<string, unknown>;

/** What a user allowed before a change of privacy, or that nobody knows. */
export function beforeOf({ u, s, v, l, fa, fr, ba, br, q, t }: PrivacyNoted): PrivacyBefore | PrivacyUnknown {
  if (u) return 'unknown';
  return {
    visibility: visibilityOf(v),
    lastSeenVisibility: visibilityOf(l),
    friends: { added: list(fa), removed: list(fr) },
    blocks: { added: list(ba), removed: list(br) },
    onlyLists: s === true,
    overtaken: list(q),
    gathered: t === true,
  };
}
