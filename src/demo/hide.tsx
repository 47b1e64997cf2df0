import { useState } from 'react';

/** Seconds as the server takes them; 0 stands for no end. */
const ENDS = { 0: 'until I end it', 60: 'for a minute', 900: 'for 15 minutes', 3600: 'for an hour' } as const;

/** Appear inactive, and for how long. */
export function Hide({ hidden, onHide }: { hidden: boolean; onHide: (hide: boolean, forSeconds?: number) => void }) {
  const [forSeconds, setForSeconds] = useState(0);
  return (
    <div className="row">
      <button
        type="button"
        className="grow"
        aria-pressed={hidden}
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
  );
}
