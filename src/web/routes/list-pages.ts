import type { z } from 'zod';
import type { ListPage } from '../../postgres/social.ts';
import type { ListQuery } from '../../protocol/social.ts';
import { readListCursor, writeListCursor } from '../../usecases/cursors.ts';

const MOST = 1000;

/**
 * The page of a list of users that was asked for, and one more, which tells whether there is another; undefined: all of it.
 * Throws INVALID_REQUEST for a garbled cursor.
 */
export function pageOf({ limit, cursor }: z.infer<typeof ListQuery>): ListPage | undefined {
  if (limit === undefined && cursor === undefined) return undefined;
  return { afterId: cursor === undefined ? '' : readListCursor(cursor), limit: (limit ?? MOST) + 1 };
}

/** What to answer with of what was found for `pageOf`: the page, and the cursor behind it where a page was asked for. */
export function cutPage<Entry extends { userId: string }>(page: ListPage | undefined, found: Entry[]) {
  if (page === undefined) return { shown: found, next: {} };
  const shown = found.slice(0, page.limit - 1);
  const last = found.length === page.limit ? shown.at(-1) : undefined;
  return { shown, next: { nextCursor: last ? writeListCursor(last.userId) : null } };
}
