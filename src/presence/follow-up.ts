/** A timeout job that a script asks its caller to add, and one that is not needed any more. */
export type Arm =
  /** The user's one delayed job: looks at the user now and then and re-arms itself. `number` names it for good. */
  | { kind: 'check'; userId: string; number: string; delayMs: number }
  /** Once, at a deadline (of a silence, a grace, a handover, the end of what was chosen), or at once after a close. */
  | { kind: 'once'; userId: string; why: Once; delayMs: number }
  /** The user is gone, and with them what their job was there for. */
  | { kind: 'remove'; userId: string; number: string };

/** Why somebody is looked at once, beside their delayed job. */
export const ONCE = ['closed', 'silent', 'handover', 'choice-ends', 'detail-ends'] as const;
export type Once = (typeof ONCE)[number];

/** What has to be put into the queues after a script has run. Losing it costs time, never truth: the sweep finds it. */
export interface FollowUp {
  shard: number;
  wakeDeliver: boolean;
  wakeRecord: boolean;
  arms: Arm[];
  /** Where it was caused, if that is traced. */
  trace?: string;
}
