import { type FormEvent, useEffect, useRef, useState } from 'react';
import { tokenFor } from './devices.ts';
import { Avatar, Logo } from './icons.tsx';
import { displayName, idFromName } from './names.ts';

const SUGGESTIONS = ['ada.lovelace', 'grace.hopper', 'alan.turing', 'katherine.johnson'];

export function SignIn({ onSignIn }: { onSignIn: (userId: string) => void }) {
  const [name, setName] = useState('');
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);

  async function enter(userId: string): Promise<void> {
    if (userId === '') return setProblem('A name needs at least one letter out of A to Z, or a digit.');
    setBusy(true);
    try {
      await tokenFor(userId);
      onSignIn(userId);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : 'The server does not answer.');
      setBusy(false);
    }
  }

  function submit(event: FormEvent): void {
    event.preventDefault();
    void enter(idFromName(name));
  }

  return (
    <main className="sign-in">
      <div className="panel">
        <Logo />
        <h1>Who is here?</h1>
        <p className="intro">
          Rollcall is a presence service that you run yourself: who is online, idle or offline, when somebody was last
          seen, and who may know.
        </p>
        <p className="intro">
          This is its demo, without passwords. Sign in as anybody, open a second tab as somebody else, and watch each
          other come, go idle, lose the network and return.
        </p>
        <form onSubmit={submit}>
          <label htmlFor="name">Your name</label>
          <div className="row">
            <input
              ref={field}
              id="name"
              autoComplete="off"
              spellCheck={false}
              placeholder="Ada Lovelace"
              value={name}
              onChange={(event) => setName(event.target.value)}
              aria-describedby="problem"
            />
            <button type="submit" className="primary" disabled={busy}>
              Sign in
            </button>
          </div>
          <p id="problem" className="problem" role="alert">
            {problem}
          </p>
        </form>
        <fieldset className="suggestions" aria-label="Or sign in as">
          {SUGGESTIONS.map((userId) => (
            <button key={userId} type="button" onClick={() => void enter(userId)} disabled={busy}>
              <Avatar userId={userId} small />
              {displayName(userId)}
            </button>
          ))}
        </fieldset>
      </div>
    </main>
  );
}
