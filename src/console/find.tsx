import { type KeyboardEvent, useEffect, useRef, useState } from 'react';
import type { PeopleAnswer } from '../protocol/console.ts';
import { addressOf, useNow, usePolled, useSettled } from './hooks.ts';
import { Face } from './parts.tsx';
import { relative } from './words.ts';

const TYPING_MS = 150;
const LIMIT = 20;
const EVERY_MS = 5000;

/** Finds people by how their id or name begins. `/` leads here from everywhere, the arrows from one to the next. */
export function Find({ shown }: { shown: string | null }) {
  const [text, setText] = useState('');
  const input = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const now = useNow();
  const wanted = useSettled(text.trim(), TYPING_MS);
  const path = wanted === '' ? null : `people?limit=${LIMIT}&q=${encodeURIComponent(wanted)}`;
  const { value, refusal } = usePolled<PeopleAnswer>(path, EVERY_MS);
  const found = value?.people ?? null;

  useEffect(() => {
    const toInput = (event: globalThis.KeyboardEvent) => {
      const isTyping = event.target instanceof HTMLElement && event.target.closest('input, dialog');
      if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      input.current?.focus();
      input.current?.select();
    };
    addEventListener('keydown', toInput);
    return () => removeEventListener('keydown', toInput);
  }, []);

  const move = (event: KeyboardEvent) => {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    const links = [...(list.current?.querySelectorAll('a') ?? [])];
    if (step === 0 || links.length === 0) return;
    event.preventDefault();
    const place = links.indexOf(document.activeElement as HTMLAnchorElement) + step;
    if (place < 0) input.current?.focus();
    else links[Math.min(place, links.length - 1)]?.focus();
  };
  const open = (event: { preventDefault(): void }) => {
    event.preventDefault();
    const [first] = found ?? [];
    if (first) location.hash = addressOf(first.userId);
  };

  return (
    <section className="find" aria-label="People" onKeyDown={move}>
      <search>
        <form onSubmit={open}>
          <label htmlFor="find">Find a person</label>
          <input
            id="find"
            ref={input}
            type="search"
            value={text}
            onChange={(event) => setText(event.target.value)}
            placeholder="Id or name begins with…"
            autoComplete="off"
            spellCheck={false}
            maxLength={200}
          />
        </form>
      </search>
      <p className="hidden" role="status">
        {found === null ? '' : found.length === 1 ? '1 person found' : `${found.length} people found`}
      </p>
      {refusal && <p className="sad">{refusal.message}</p>}
      {found && found.length === 0 && <p className="faint">Nobody’s id or name begins so.</p>}
      {wanted === '' && (
        <p className="faint tip">
          Press <kbd>/</kbd> to come here, <kbd>↓</kbd> to go through the people found.
        </p>
      )}
      {found && found.length > 0 && (
        <ul ref={list} className="people">
          {found.map(({ userId, displayName, status, lastSeen }) => (
            <li key={userId}>
              <a href={addressOf(userId)} aria-current={shown === userId ? 'page' : undefined}>
                <Face id={userId} name={displayName} status={status} small />
                <span className="who">
                  <b>{displayName ?? userId}</b>
                  <span className="faint">{displayName ? userId : ''}</span>
                </span>
                <span className={`faint ${status === 'active' ? 'good' : ''}`}>
                  {status === 'active' ? 'active' : lastSeen ? relative(lastSeen, now) : status ? 'never' : ''}
                </span>
              </a>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
