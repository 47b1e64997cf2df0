/** Times and reasons in words. */

const UNITS: [name: string, ms: number][] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
];

/** How long, in its greatest unit: `3 s`, `5 min`. */
export function long(ms: number): string {
  const [name, unit] = UNITS.find(([, each]) => Math.abs(ms) >= each) ?? ['s', 1000];
  return `${Math.max(0, Math.floor(ms / unit))} ${name}`;
}

/** How long ago, or in how long. */
export function relative(iso: string, now: number): string {
  const ms = now - Date.parse(iso);
  if (Math.abs(ms) < 1000) return 'now';
  return ms > 0 ? `${long(ms)} ago` : `in ${long(-ms)}`;
}

/** A moment as a clock on the wall here shows it, with the day where it is not today. */
export function clock(iso: string): string {
  const at = new Date(iso);
  const time = at.toLocaleTimeString('en-GB');
  return at.toDateString() === new Date().toDateString()
    ? time
    : `${at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' })}, ${time}`;
}

/** A number for people. */
export const number = (value: number): string => value.toLocaleString('en');

const CAUSES: Record<string, string> = {
  connect: 'connected',
  heartbeat: 'a heartbeat came again',
  manual: 'by choice',
  timeout: 'no heartbeat in time',
  disconnect: 'the last connection closed',
  logout: 'signed out',
  handover: 'not back in time after a deploy',
  restored: 'Redis was told anew',
  detail: 'detail changed',
  privacy: 'privacy changed',
  erased: 'erased',
};

/** Why a change came about. */
export const cause = (name: string): string => CAUSES[name] ?? name;

const RULES: Record<string, [active: string, inactive: string]> = {
  heartbeat: ['a session is heard of in time', 'no session is heard of'],
  manual: ['the user says so', 'the user chose to appear inactive'],
  timeout: ['', 'no heartbeat came for as long as a session may be silent'],
  disconnect: ['the last connection closed, and the grace for a return is not over', 'the last connection closed'],
  logout: ['', 'the user was signed out'],
  handover: [
    'a deploy closed the connection, and its time to return is not over',
    'after a deploy nobody came back in time',
  ],
};

/** The rule that makes somebody active or inactive, as the end of a sentence. */
export function because(rule: string, status: string): string {
  const [active, inactive] = RULES[rule] ?? [rule, rule];
  return status === 'active' ? active : inactive;
}

/** When what somebody is becomes another, if nothing else does it before. */
export function changes(rule: string, status: string, nextChangeAt: string | null, now: number): string {
  if (nextChangeAt === null) return rule === 'manual' ? 'when the user chooses, or signs out' : 'when they come again';
  const at = `${clock(nextChangeAt)}, ${relative(nextChangeAt, now)}`;
  if (status !== 'active') return `${at}, if the user does not choose before`;
  return `${at}, if ${rule === 'heartbeat' ? 'nothing is heard' : 'they are not back'} until then`;
}

/** What stands for a person who has no picture. */
export function initials(name: string): string {
  const words = name.split(/[^\p{L}\p{N}]+/u).filter((word) => word !== '');
  return (words.length > 1 ? `${words[0]?.[0]}${words[1]?.[0]}` : name.slice(0, 2)).toUpperCase();
}

/** A hue that is the same for the same id. */
export function hue(id: string): number {
  let hash = 0;
  for (let n = 0; n < id.length; n++) hash = (hash * 31 + id.charCodeAt(n)) % 360;
  return hash;
}
