import { Avatar } from './icons.tsx';
import { type Entry, medianLatency } from './journal.ts';
import { displayName } from './names.ts';

const TIME = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

export function JournalList({ entries }: { entries: readonly Entry[] }) {
  const median = medianLatency(entries);
  return (
    <section className="panel journal" aria-labelledby="journal-title">
      <header>
        <h2 id="journal-title">Changes</h2>
        {median !== undefined && <span className="note">median {median} ms after it happened</span>}
      </header>
      {entries.length === 0 ? (
        <p className="empty">The next time somebody comes or goes, it is written here.</p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and has to do so by keyboard too.
        <div className="log" role="log" aria-label="Changes, newest first" tabIndex={0}>
          <ol>
            {entries.map((entry) => (
              <li key={entry.key}>
                <time>{TIME.format(entry.at)}</time>
                <Avatar userId={entry.userId} look={entry.status} small />
                <span className="what">
                  <strong>{displayName(entry.userId)}</strong> <span className="reason">{entry.reason}</span>
                </span>
                <span className="latency">{entry.latencyMs === null ? '' : `${entry.latencyMs} ms`}</span>
              </li>
            ))}
          </ol>
        </div>
      )}
    </section>
  );
}
