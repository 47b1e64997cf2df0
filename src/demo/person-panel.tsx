import { type ReactNode, useEffect, useRef, useState } from 'react';
import type { FriendAlert, SocialClient } from '../client/social.ts';
import { Choice } from './choice.tsx';
import { Avatar, Sign } from './icons.tsx';
import { displayName } from './names.ts';
import type { Rest } from './rest.ts';
import type { Social } from './social.ts';

interface PersonPanelProps {
  userId: string;
  /** How the wall shows the person, in a word and in a sentence. */
  look: string;
  sentence: string;
  client: SocialClient;
  social: Social;
  rest: Rest;
  onClose: () => void;
}

const ALERTS: Record<FriendAlert, string> = { never: 'Never', once: 'Once', always: 'Always' };

/** What is between the user and somebody else, and what can be done about it. */
export function PersonPanel({ userId, look, sentence, client, social, rest, onClose }: PersonPanelProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);
  useEffect(() => dialog.current?.showModal(), []);
  const { look: lookAnew } = social;
  useEffect(() => lookAnew(), [lookAnew]);

  function attempt(wish: Promise<unknown>): void {
    setProblem('');
    setBusy(true);
    social
      .change(wish)
      .catch((error: Error) => setProblem(error.message))
      .finally(() => setBusy(false));
  }

  const name = displayName(userId);
  const friend = social.friends.get(userId);
  const blocked = social.blocks.has(userId);
  return (
    <dialog ref={dialog} className="sheet" aria-labelledby="sheet-title" closedby="any" onClose={onClose}>
      <header>
        <Avatar userId={userId} look={look} />
        <div className="who">
          <h2 id="sheet-title">{name}</h2>
          <span className={`when ${look}`}>{sentence}</span>
        </div>
        <button type="button" className="round bare" aria-label="Close" onClick={() => dialog.current?.close()}>
          <Sign name="cross" />
        </button>
      </header>
      <Matter
        title={friend ? 'You are friends' : 'You are not friends'}
        note="In your application, only your backend makes friends. Here the demo’s does. Ending it is up to either."
      >
        <button
          type="button"
          className={friend ? '' : 'primary'}
          disabled={busy}
          onClick={() => attempt(friend ? client.social.unfriend(userId) : rest.befriend(userId))}
        >
          {friend ? 'Unfriend' : 'Befriend'}
        </button>
      </Matter>
      {friend && (
        <div className="matter tall">
          <Choice
            label={`Tell me when ${name} comes`}
            options={ALERTS}
            chosen={friend.alert}
            disabled={busy}
            onChoose={(alert) => attempt(client.social.setAlert(userId, alert))}
          />
          <span className="note">After a real absence, once they have stayed for a moment, and if they agree.</span>
        </div>
      )}
      <Matter
        title={blocked ? 'You block each other’s view' : 'You can see each other'}
        note={
          blocked
            ? 'Each looks to the other like somebody who never came, and nobody is told of the block.'
            : 'A block hides both from each other: the status, the last seen, and the typing.'
        }
      >
        <button
          type="button"
          disabled={busy}
          onClick={() => attempt(blocked ? client.social.unblock(userId) : client.social.block(userId))}
        >
          {blocked ? 'Unblock' : 'Block'}
        </button>
      </Matter>
      <p className="problem" role="alert">
        {problem}
      </p>
    </dialog>
  );
}

function Matter({ title, note, children }: { title: string; note: string; children: ReactNode }) {
  return (
    <div className="matter">
      <div>
        <strong>{title}</strong>
        <span className="note">{note}</span>
      </div>
      {children}
    </div>
  );
}
