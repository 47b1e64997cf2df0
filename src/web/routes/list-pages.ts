import type { z } from 'zod';
import type { ListPage } from '../../postgres/social.ts';
import type { ListQuery } from '../../protocol/social.ts';
import { readListCursor, writeListCursor } from '../../usecases/cursors.ts';

const MOST = 1000;

/** The page of a list of users that was asked for; undefined: all of it. Throws INVALID_REQUEST for a garbled cursor. */
export function pageOf({ limit, cursor }: z.infer<typeof ListQuery>): ListPage | undefined {
  if (limit === undefined && cursor === undefined) return undefined;
  return { afterId: cursor === undefined ? '' : readListCursor(cursor), limit: limit ?? MOST };
}

/** The cursor behind a page; nothing where the page is not full, or all was asked for. */
export function nextCursorOf(page: ListPage | undefined, found: readonly { userId: string }[]) {
  if (page === undefined) return {};
  const last = found.at(-1);
  return { nextCursor: last && found.length === page.limit ? writeListCursor(last.userId) : null };
}
