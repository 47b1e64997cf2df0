import { type FormEvent, type PointerEvent, useEffect, useMemo, useRef, useState } from 'react';
import type { Indicator } from '../client/index.ts';
import { useIndicators, usePresenceClient } from '../client/react.tsx';
import { Avatar, Sign } from './icons.tsx';
import { displayName } from './names.ts';

const CONVERSATION = 'demo-lobby';
const MOST_MESSAGES = 50;
const SAY_AGAIN_MS = 2000;
const CODES_WITHOUT_CONVERSATIONS = ['FORBIDDEN', 'NOT_FOUND', 'INTERNAL_ERROR', 'INVALID_REQUEST', 'TIMEOUT'];

interface Message {
  key: string;
  from: string;
  text: string;
}

export function Chat({ me, blocks }: { me: string; blocks: ReadonlySet<string> }) {
  const client = usePresenceClient();
  const indicators = useIndicators(CONVERSATION).filter((one) => one.userId !== me);
  const { messages: all, say } = useMessages(me);
  // Who is blocked is the server's to hide while they type; what they say here never went through it.
  const messages = useMemo(() => all.filter((message) => !blocks.has(message.from)), [all, blocks]);
  const [text, setText] = useState('');
  const works = useConversationWorks();
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (messages.length > 0) list.current?.scrollTo({ top: list.current.scrollHeight });
  }, [messages]);

  function submit(event: FormEvent): void {
    event.preventDefault();
    if (text.trim() === '') return;
    say(text.trim());
    setText('');
    client.stopIndicator(CONVERSATION);
  }

  return (
    <section className="panel chat" aria-labelledby="chat-title">
      <header>
        <h2 id="chat-title">Lobby</h2>
        <span className="note">between the tabs of this browser</span>
      </header>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and has to do so by keyboard too. */}
      <div ref={list} className="log" role="log" aria-label="Messages" tabIndex={0}>
        {messages.length === 0 && (
          <p className="empty">Open a second tab as somebody else and start typing in one of them.</p>
        )}
        <ol>
          {messages.map((message) => (
            <li key={message.key} className={message.from === me ? 'mine' : ''}>
              <Avatar userId={message.from} small />
              <p className="said">
                <strong className="from">{message.from === me ? 'You' : displayName(message.from)}</strong>
                {message.text}
              </p>
            </li>
          ))}
        </ol>
      </div>
      <p className="indicators" aria-live="polite">
        {works ? <IndicatorKind indicators={indicators} /> : 'This server shows no typing indicators in the lobby.'}
      </p>
      <form onSubmit={submit}>
        <label className="hidden" htmlFor="message">
          Message
        </label>
        <input
          id="message"
          autoComplete="off"
          placeholder="Say something"
          value={text}
          maxLength={300}
          onChange={(event) => {
            setText(event.target.value);
            if (event.target.value !== '') client.typing(CONVERSATION);
          }}
        />
        <RecordButton />
        <button type="submit" className="primary">
          Send
        </button>
      </form>
    </section>
  );
}

function IndicatorKind({ indicators }: { indicators: readonly Indicator[] }) {
  if (indicators.length === 0) return null;
  const typing = indicators.filter((one) => one.kind === 'typing').map((one) => displayName(one.userId));
  const recording = indicators.filter((one) => one.kind !== 'typing').map((one) => displayName(one.userId));
  const sentences = [
    typing.length > 0 && `${names(typing)} typing`,
    recording.length > 0 && `${names(recording)} recording`,
  ].filter((sentence) => sentence !== false);
  return (
    <>
      <span className="dots" aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      {sentences.join(', ')}
    </>
  );
}

function names(list: readonly string[]): string {
  if (list.length > 3) return `${list.length} people are`;
  return `${new Intl.ListFormat('en').format(list)} ${list.length > 1 ? 'are' : 'is'}`;
}

/** Hold it, with a finger, the mouse or the space bar. Nothing is recorded, it only looks so to the others. */
function RecordButton() {
  const client = usePresenceClient();
  const [held, setHeld] = useState(false);
  useEffect(() => {
    if (!held) return;
    client.recording(CONVERSATION);
    const timer = setInterval(() => client.recording(CONVERSATION), SAY_AGAIN_MS);
    return () => {
      clearInterval(timer);
      client.stopIndicator(CONVERSATION, 'recording_audio');
    };
  }, [held, client]);
  const hold = (event: PointerEvent) => {
    event.currentTarget.setPointerCapture(event.pointerId);
    setHeld(true);
  };
  return (
    <button
      type="button"
      className="round"
      aria-pressed={held}
      title="Hold to look as if you recorded"
      aria-label="Hold to look as if you recorded a message"
      onPointerDown={hold}
      onPointerUp={() => setHeld(false)}
      onPointerCancel={() => setHeld(false)}
      onKeyDown={(event) => event.key === ' ' && setHeld(true)}
      onKeyUp={() => setHeld(false)}
      onBlur={() => setHeld(false)}
    >
      <Sign name="mic" />
    </button>
  );
}

/** False once the server has refused this conversation. */
function useConversationWorks(): boolean {
  const client = usePresenceClient();
  const [works, setWorks] = useState(true);
  useEffect(
    () =>
      client.onError((error) => {
        if (CODES_WITHOUT_CONVERSATIONS.includes(error.code)) setWorks(false);
      }),
    [client],
  );
  return works;
}

/** Rollcall carries no messages. The tabs of one browser pass them on among themselves. */
function useMessages(me: string) {
  const [messages, setMessages] = useState<readonly Message[]>([]);
  const channel = useRef<BroadcastChannel>(undefined);
  const add = (message: Message) => setMessages((known) => [...known, message].slice(-MOST_MESSAGES));
  useEffect(() => {
    const opened = new BroadcastChannel('rollcall.lobby');
    channel.current = opened;
    opened.onmessage = (event: MessageEvent<Message>) =>
      setMessages((known) => [...known, event.data].slice(-MOST_MESSAGES));
    return () => opened.close();
  }, []);
  return {
    messages,
    say(text: string) {
      const message = { key: `${me} ${Date.now()} ${Math.random()}`, from: me, text };
      channel.current?.postMessage(message);
      add(message);
    },
  };
}
