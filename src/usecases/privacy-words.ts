import type { Settings } from '../protocol/social.ts';

const WHO = { everyone: 'Everybody', friends: 'Friends alone', nobody: 'Nobody' } as const;

/** What the settings of a user let others know, in sentences; whoever blocks or is blocked sees nothing in any case. */
export function privacyInWords(settings: Settings): string[] {
  const { visibility, lastSeenVisibility, lastSeenPrecision, alertFriends } = settings;
  const words = [`${WHO[visibility]} may see whether they are here.`];
  if (visibility === 'nobody') return [...words, 'To others they look like somebody who never came.'];
  words.push(`${WHO[lastSeenVisibility]} may see when they were last here.`);
  if (lastSeenPrecision === 'coarse' && lastSeenVisibility !== 'nobody') {
    words.push('That is told in days, weeks and months, and not to the second.');
  }
  words.push(
    alertFriends ? 'Friends who asked for it are alerted when they come.' : 'No friend is alerted when they come.',
  );
  return words;
}
