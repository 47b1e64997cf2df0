/** What operators and services do to a person and are answerable for. What a user does to themselves is none of it. */
export const ACTS = ['kick', 'session_removed', 'erase', 'export', 'board', 'source_removed'] as const;
export type Act = (typeof ACTS)[number];

/** An act, as it is to be noted. */
export interface NotedAct {
  /** The `sub` of the service's token, or the operator's name. */
  actor: string;
  act: Act;
  /** The user whom it was done to; null: nobody in particular. */
  subject: string | null;
  /** What else there is to say, without a user's id in it: an erasure finds no id there. */
  detail: Record<string, string | null> | null;
}
