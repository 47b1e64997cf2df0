import type { PrivacyBefore, PrivacyUnknown } from '../presence/change.ts';
import { type Openness, VISIBILITIES, type Visibility } from '../presence/visibility.ts';

/** How the scripts spell what a user allows. */
export const CODE_OF: Record<Visibility, string> = { everyone: 'e', friends: 'f', nobody: 'n' };

const VISIBILITY_OF = new Map(VISIBILITIES.map((visibility) => [CODE_OF[visibility], visibility]));

/** The visibility that a letter in Redis stands for; `nobody` for a letter that nobody wrote. */
export function visibilityOf(code: unknown): Visibility {
  return VISIBILITY_OF.get(String(code)) ?? 'nobody';
}

/** How the scripts spell who may see the last seen, and how exactly: a capital stands for coarsely. */
export function lastSeenCode({ lastSeenVisibility, lastSeenPrecision }: Omit<Openness, 'visibility'>): string {
  const code = CODE_OF[lastSeenVisibility];
  return lastSeenPrecision === 'coarse' ? code.toUpperCase() : code;
}

/** What the two letters in Redis stand for; `nobody` for a letter that nobody wrote. */
export function opennessOf(visibility: unknown, lastSeen: unknown): Openness {
  const code = String(lastSeen);
  return {
    visibility: visibilityOf(visibility),
    lastSeenVisibility: visibilityOf(code.toLowerCase()),
    lastSeenPrecision: code === code.toLowerCase() ? 'exact' : 'coarse',
  };
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
    ...opennessOf(v, l),
    friends: { added: list(fa), removed: list(fr) },
    blocks: { added: list(ba), removed: list(br) },
    onlyLists: s === true,
    overtaken: list(q),
    gathered: t === true,
  };
}
