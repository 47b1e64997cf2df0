import { useEffect, useRef, useState } from 'react';
import type { PresenceChange } from '../client/index.ts';
import { usePresenceClient } from '../client/react.tsx';

export interface Entry {
  key: number;
  at: number;
  userId: string;
  status: 'active' | 'inactive';
  reason: string;
  /** From the moment it became true until this page knew; null where that moment is not told. */
  latencyMs: number | null;
}

const MOST_ENTRIES = 60;
/** Silence is told that much less than the TTL after the last sign of life, at the least. */
const SLACK_MS = 1500;
/** A goodbye is told sooner than that, or it was none. */
const GOODBYE_MS = 3000;
/** The difference of two clocks is measured no better than a message is fast: below, they are taken to agree. */
const CLOCKS_AGREE_MS = 1000;

/** The latest changes, newest first. */
export function useJournal(me: string): readonly Entry[] {
  const client = usePresenceClient();
  const [entries, setEntries] = useState<readonly Entry[]>([]);
  const next = useRef(0);
  useEffect(() => {
    const add = (added: readonly Entry[]) => setEntries((known) => [...added, ...known].slice(0, MOST_ENTRIES));
    const endAlerts = client.onFriendActive(({ userId }) => {
      const reason = 'is here (alert)';
      add([{ key: next.current++, at: Date.now(), userId, status: 'active', reason, latencyMs: null }]);
    });
    const endChanges = client.onChange((changes) => {
      const state = client.connection.get();
      if (state.status !== 'connected') return;
      const at = Date.now();
      const added = changes
        .filter(({ presence, previous }) => presence.userId !== me && presence.status !== previous?.status)
        .map((change) => entryOf(change, at, serverTime(at, state.clockOffsetMs), state.ttlMs, next.current++));
      if (added.length > 0) add(added.reverse());
    });
    return () => {
      endAlerts();
      endChanges();
    };
  }, [client, me]);
  return entries;
}

function serverTime(at: number, clockOffsetMs: number): number {
  return Math.abs(clockOffsetMs) < CLOCKS_AGREE_MS ? at : at + clockOffsetMs;
}

/** The event does not carry a reason; how long ago the user was last seen tells it. */
function entryOf({ presence }: PresenceChange, at: number, serverNow: number, ttlMs: number, key: number): Entry {
  const { userId, lastSeen } = presence;
  const sinceMs = lastSeen === null ? null : Math.max(0, Math.round(serverNow - Date.parse(lastSeen)));
  if (presence.status === 'active') return { key, at, userId, status: 'active', reason: 'came', latencyMs: sinceMs };
  return { key, at, userId, status: 'inactive', ...whyAway(sinceMs, ttlMs) };
}

/**
 * Whoever closes is last seen at that moment; whoever falls silent was last seen a whole TTL before anybody could know.
 * Between the two: silent, after another device had said goodbye.
 */
function whyAway(sinceMs: number | null, ttlMs: number): Pick<Entry, 'reason' | 'latencyMs'> {
  if (sinceMs === null) return { reason: 'left', latencyMs: null };
  if (sinceMs < Math.min(GOODBYE_MS, ttlMs - SLACK_MS)) return { reason: 'left', latencyMs: sinceMs };
  if (sinceMs < ttlMs - SLACK_MS) return { reason: 'fell silent', latencyMs: null };
  return { reason: `silent for ${Math.round(ttlMs / 1000)} s`, latencyMs: Math.max(0, sinceMs - ttlMs) };
}

/** The median of the latencies on show. */
export function medianLatency(entries: readonly Entry[]): number | undefined {
  const sorted = entries.flatMap(({ latencyMs }) => latencyMs ?? []).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
