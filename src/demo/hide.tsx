import { useId, useState } from 'react';
import { duration, useNow } from './clock.ts';

/** Seconds as the server takes them; 0 stands for no end. */
const ENDS = { 0: 'until I end it', 60: 'for a minute', 900: 'for 15 minutes', 3600: 'for an hour' } as const;

interface HideProps {
  hidden: boolean;
  /** When it ends by itself; null: not at all. */
  until: string | null;
  onHide: (hide: boolean, forSeconds?: number) => void;
}

/** Appear inactive, and for how long. */
export function Hide({ hidden, until, onHide }: HideProps) {
  const [forSeconds, setForSeconds] = useState(0);
  const says = useId();
  return (
    <div>
      <div className="row">
        <button
          type="button"
          className="grow"
          aria-pressed={hidden}
          aria-describedby={says}
          onClick={() => (hidden ? onHide(false) : onHide(true, forSeconds || undefined))}
        >
          Appear inactive
        </button>
        <select
          aria-label="For how long"
          value={forSeconds}
          disabled={hidden}
          onChange={(event) => setForSeconds(Number(event.target.value))}
        >
          {Object.entries(ENDS).map(([seconds, words]) => (
            <option key={seconds} value={seconds}>
              {words}
            </option>
          ))}
        </select>
      </div>
      <p id={says} className="pretends">
        {hidden && <HowLong until={until} />}
      </p>
    </div>
  );
}

function HowLong({ until }: Pick<HideProps, 'until'>) {
  const now = useNow();
  if (until === null) return 'You look as if you had left, whatever your devices do.';
  return `You look as if you had left; shown again in ${duration(Math.max(0, Date.parse(until) - now))}.`;
}
