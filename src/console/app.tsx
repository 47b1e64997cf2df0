import { useEffect } from 'react';
import { useTheme } from '../demo/theme.ts';
import type { LiveAnswer } from '../protocol/console.ts';
import { Find } from './find.tsx';
import { usePersonInAddress, usePolled } from './hooks.ts';
import { Now } from './now.tsx';
import { Person } from './person.tsx';
import { clock } from './words.ts';

/** The console: who it is about on the one side, what goes on or one person on the other. */
export function App() {
  const theme = useTheme();
  const live = usePolled<LiveAnswer>('live');
  const userId = usePersonInAddress();
  useEffect(() => {
    document.title = userId === null ? 'Rollcall console' : `${userId} · Rollcall console`;
  }, [userId]);
  return (
    <>
      <button type="button" className="skip" onClick={toContent}>
        To the content
      </button>
      <header className="top">
        <a className="brand" href="#now">
          <Logo />
          <span>Rollcall</span>
        </a>
        <nav aria-label="Console">
          <a href="#now" aria-current={userId === null ? 'page' : undefined}>
            Now
          </a>
          <a href="admin/queues">Queues</a>
          <a href="metrics">Metrics</a>
          <a href="docs">API</a>
        </nav>
        <p className={live.refusal ? 'pulse off' : 'pulse'} role="status">
          {live.refusal ? live.refusal.message : live.value ? 'Live' : 'Asking…'}
          {live.value && <time className="at">{clock(live.value.at)}</time>}
        </p>
        <button type="button" className="quiet theme" onClick={theme.toggle}>
          {theme.name === 'dark' ? 'Light' : 'Dark'}
        </button>
      </header>
      <main>
        <Find shown={userId} />
        <div id="view" className="view" tabIndex={-1}>
          {userId === null ? (
            <Now live={live.value} />
          ) : (
            <Person key={userId} userId={userId} writable={live.value?.writable ?? false} />
          )}
        </div>
      </main>
    </>
  );
}

/** Not by a link, for the person stands in the address. */
function toContent() {
  document.getElementById('view')?.focus();
}

function Logo() {
  return (
    <svg className="logo" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="9" />
      <circle cx="11" cy="16" r="4" />
      <path d="M18 11a7 7 0 0 1 0 10M22 8a11 11 0 0 1 0 16" />
    </svg>
  );
}
