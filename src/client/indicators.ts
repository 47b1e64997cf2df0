import type { IndicatorChange } from '../protocol/socket.ts';
import { monotonicMs } from './clock.ts';
import { createSignal } from './observable.ts';
import type { PresenceError } from './presence-error.ts';
import type { Indicator, IndicatorKind } from './types.ts';
import type { Request } from './wire.ts';

/** The server lets an indicator end 6 s after it was last said. */
const REPEAT_MS = 3000;
const NO_INDICATORS: readonly Indicator[] = [];

/** Keeps who is typing or recording in the conversations that somebody here looks at. */
export function createIndicators(request: Request, report: (error: PresenceError) => void) {
  interface Conversation {
    watchers: number;
    changed: ReturnType<typeof createSignal<void>>;
    shown: readonly Indicator[];
  }
  const conversations = new Map<string, Conversation>();
  /** When we last said what, by conversation and kind. */
  const saidAt = new Map<string, number>();

  function join(conversationId: string): void {
    request('join_conversation', { conversationId }).catch((thrown) => {
      if (conversations.has(conversationId)) failed(thrown);
    });
  }

  /** What there was no connection for is said again with the next one. */
  function failed(error: PresenceError): void {
    if (error.code !== 'NOT_CONNECTED') report(error);
  }

  function show(conversation: Conversation, shown: readonly Indicator[]): void {
    conversation.shown = shown;
    conversation.changed.emit();
  }

  return {
    get: (conversationId: string): readonly Indicator[] => conversations.get(conversationId)?.shown ?? NO_INDICATORS,
    watch(conversationId: string, listener: () => void): () => void {
      let conversation = conversations.get(conversationId);
      if (!conversation) {
        conversation = { watchers: 0, changed: createSignal<void>(), shown: NO_INDICATORS };
        conversations.set(conversationId, conversation);
        join(conversationId);
      }
      const watched = conversation;
      watched.watchers += 1;
      const end = watched.changed.subscribe(listener);
      let ended = false;
      return () => {
        if (ended) return;
        ended = true;
        end();
        watched.watchers -= 1;
        // A component that is mounted anew in the same tick keeps the conversation joined.
        queueMicrotask(() => {
          if (watched.watchers > 0 || conversations.get(conversationId) !== watched) return;
          conversations.delete(conversationId);
          request('leave_conversation', { conversationId }).catch(() => {});
        });
      };
    },
    changed({ conversationId, userId, kind, active }: IndicatorChange): void {
      const conversation = conversations.get(conversationId);
      if (!conversation) return;
      const isThisOne = (one: Indicator) => one.userId === userId && one.kind === kind;
      // Repetitions show nothing new.
      if (conversation.shown.some(isThisOne) === active) return;
      const others = conversation.shown.filter((one) => !isThisOne(one));
      show(conversation, active ? [...others, { userId, kind }] : others);
    },
    connected(): void {
      for (const conversationId of conversations.keys()) join(conversationId);
    },
    /** Nobody can tell us any more when somebody stops. */
    lost(): void {
      saidAt.clear();
      for (const conversation of conversations.values()) {
        if (conversation.shown.length > 0) show(conversation, NO_INDICATORS);
      }
    },
    /** May be called at every key stroke. */
    start(conversationId: string, kind: IndicatorKind): void {
      const key = `${kind} ${conversationId}`;
      const now = monotonicMs();
      if (now - (saidAt.get(key) ?? Number.NEGATIVE_INFINITY) < REPEAT_MS) return;
      saidAt.set(key, now);
      request('start_indicator', { conversationId, kind }).catch(failed);
    },
    stop(conversationId: string, kind: IndicatorKind): void {
      if (saidAt.delete(`${kind} ${conversationId}`)) {
        request('stop_indicator', { conversationId, kind }).catch(() => {});
      }
    },
  };
}
