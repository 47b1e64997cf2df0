import type { PrivacyBefore, PrivacyUnknown } from '../presence/change.ts';
import type { Visibility } from '../presence/visibility.ts';

/** How the scripts spell what a user allows. */
const VISIBILITY_OF: Record<string, Visibility> = { e: 'everyone', f: 'friends', n: 'nobody' };

export const CODE_OF: Record<Visibility, string> = { everyone: 'e', friends: 'f', nobody: 'n' };

/** The visibility that a letter in Redis stands for; `nobody` for a letter that nobody wrote. */
export function visibilityOf(code: unknown): Visibility {
  return VISIBILITY_OF[String(code)] ?? 'nobody';
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
