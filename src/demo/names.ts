/** "ada.lovelace" → "Ada Lovelace": the demo knows people by their ids alone. */
export function displayName(userId: string): string {
  const words = userId
    .split('@')[0]
    ?.split(/[._\-|+:~]+/)
    .filter((word) => word !== '');
  return words?.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join(' ') || userId;
}

/** "Ada Lovelace" → "ada.lovelace". Empty where nothing of it can stand in an id. */
export function idFromName(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .normalize('NFKD')
    .replace(/\s+/g, '.')
    .replace(/[^a-z0-9._\-@|+:~]/g, '')
    .slice(0, 128);
}

export function initials(userId: string): string {
  const words = displayName(userId).split(' ');
  return `${words[0]?.charAt(0) ?? ''}${words.length > 1 ? (words.at(-1)?.charAt(0) ?? '') : ''}`;
}

/** A hue for a user, the same everywhere. */
export function hueOf(userId: string): number {
  let hash = 0;
  for (const character of userId) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) | 0;
  return Math.abs(hash * 47) % 360;
}
