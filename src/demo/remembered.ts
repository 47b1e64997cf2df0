const KEY = 'rollcall.seen';
const MOST = 200;

/** Everybody ever seen in this browser, so that those who are away are on the wall as well. */
export function remembered(): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    return Array.isArray(kept) ? kept.filter((id) => typeof id === 'string') : [];
  } catch {
    return [];
  }
}

export function remember(userIds: readonly string[]): void {
  const all = [...new Set([...userIds, ...remembered()])].slice(0, MOST);
  try {
    localStorage.setItem(KEY, JSON.stringify(all));
  } catch {
    // A browser that keeps nothing shows only those who are here.
  }
}

export function signedInAs(): string | undefined {
  return sessionStorage.getItem('rollcall.user') ?? undefined;
}

/** Per tab: another tab may be another person. */
export function staySignedIn(userId: string | undefined): void {
  if (userId === undefined) sessionStorage.removeItem('rollcall.user');
  else sessionStorage.setItem('rollcall.user', userId);
}
