/** A timeout job that a script asks its caller to add. */
export type Arm =
  /** The user's one delayed job: looks at the user at the deadline and re-arms itself. `number` names it for good. */
  | { kind: 'check'; userId: string; number: string; delayMs: number }
  /** Once, at a deadline that came nearer (a grace, a handover, the end of what was chosen), or at once after a close. */
  | { kind: 'once'; userId: string; why: 'closed' | 'handover' | 'choice-ends' | 'detail-ends'; delayMs: number };

/** What has to be put into the queues after a script has run. Losing it costs time, never truth: the sweep finds it. */
export interface FollowUp {
  shard: number;
  wakeDeliver: boolean;
  wakeRecord: boolean;
  arms: Arm[];
  /** Where it was caused, if that is traced. */
  trace?: string;
}
