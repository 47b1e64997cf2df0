import type { CSSProperties, ReactNode } from 'react';
import type { Known } from '../protocol/console.ts';
import { hue, initials } from './words.ts';

/** A part of the view under a heading, with what can be said beside it. */
export function Panel({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
  return (
    <section className="panel" aria-label={title}>
      <div className="head">
        <h2>{title}</h2>
        {aside && <p className="faint">{aside}</p>}
      </div>
      {children}
    </section>
  );
}

/** A person in a circle, with a dot that says whether they are here; for eyes only. */
export function Face({
  id,
  name,
  status,
  idle = false,
  small = false,
}: {
  id: string;
  name: string | null;
  status: string | null;
  idle?: boolean;
  small?: boolean;
}) {
  const style = { '--hue': hue(id) } as CSSProperties;
  return (
    <span className={small ? 'avatar small' : 'avatar'} style={style} aria-hidden="true">
      {initials(name ?? id)}
      {status && <span className={`dot ${status === 'active' && idle ? 'idle' : status}`} />}
    </span>
  );
}

/** What is known, or the reason why it is not. */
export function Part<T>({ of, children }: { of: Known<T> | undefined; children: (known: T) => ReactNode }) {
  if (of === undefined) return <p className="faint">Asking…</p>;
  if ('unknown' in of) return <p className="sad">{of.unknown}</p>;
  return children(of.known);
}
