import { type FormEvent, useEffect, useState } from 'react';
import { usePresenceClient } from '../client/react.tsx';
import { useNow } from './clock.ts';
import { DeviceRow } from './device-row.tsx';
import { anotherDevice, type Device } from './devices.ts';
import { Avatar, Sign } from './icons.tsx';
import { displayName } from './names.ts';
import type { Rest, StatusAnswer } from './rest.ts';

const LOOK_EVERY_MS = 2000;

interface YouProps {
  me: string;
  rest: Rest;
  devices: readonly Device[];
  onDevices: (devices: readonly Device[]) => void;
  onSignOut: () => void;
}

/** The signed-in person as others see them, and all there is to try out. */
export function You({ me, rest, devices, onDevices, onSignOut }: YouProps) {
  const client = usePresenceClient();
  const seen = useSeenByOthers(me, rest);
  const [hidden, setHidden] = useState(false);
  const [problem, setProblem] = useState('');

  function attempt(action: Promise<unknown>): void {
    setProblem('');
    action.then(seen.look, (error: Error) => setProblem(error.message));
  }

  function toggleHidden(): void {
    const next = !hidden;
    attempt(client.setStatus(next ? 'inactive' : 'active').then(() => setHidden(next)));
  }

  function add(): void {
    const added = anotherDevice(me, devices);
    if (added) onDevices([...devices, added]);
  }

  function remove(device: Device): void {
    device.client.close();
    onDevices(devices.filter((one) => one !== device));
  }

  return (
    <section className="panel you" aria-labelledby="you-title">
      <header>
        <Avatar userId={me} look={seen.answer?.status ?? 'inactive'} />
        <div>
          <h2 id="you-title">{displayName(me)}</h2>
          <Why answer={seen.answer} />
        </div>
      </header>
      <ul className="own-devices">
        {devices.map((device) => (
          <DeviceRow
            key={device.key}
            device={device}
            onClose={device === devices[0] ? undefined : () => remove(device)}
          />
        ))}
      </ul>
      <DetailForm onSave={(text) => attempt(client.setDetail(text === '' ? {} : { text }))} />
      <div className="row spread">
        <button type="button" onClick={add} disabled={devices.length >= 4}>
          <Sign name="plus" /> Add device
        </button>
        <button type="button" aria-pressed={hidden} onClick={toggleHidden}>
          Appear inactive
        </button>
        <button type="button" onClick={() => attempt(client.logout({ everywhere: true }).then(onSignOut))}>
          Log out
        </button>
      </div>
      <p className="problem" role="alert">
        {problem}
      </p>
    </section>
  );
}

/** "active, because of a heartbeat": the server's own words for it. */
function Why({ answer }: { answer: StatusAnswer | undefined }) {
  const now = useNow(500);
  if (!answer) return <p className="why">Others see you in a moment …</p>;
  const { status, why } = answer;
  const leftMs = why?.nextChangeAt ? Date.parse(why.nextChangeAt) - now : undefined;
  return (
    <p className="why">
      Others see you <strong className={`verdict ${status}`}>{status}</strong>
      {why && `, by rule “${why.rule}”`}
      {leftMs !== undefined && leftMs > 0 && status === 'active' && `; silence counts in ${Math.ceil(leftMs / 1000)} s`}
    </p>
  );
}

/** Nobody is told of their own changes, so the page asks. */
function useSeenByOthers(me: string, rest: Rest) {
  const client = usePresenceClient();
  const [answer, setAnswer] = useState<StatusAnswer>();
  const [asked, setAsked] = useState(0);
  useEffect(() => {
    let current = true;
    async function ask(): Promise<void> {
      // Before the first connection the server need not have heard of anybody with this id.
      if (client.userId === undefined) return;
      const next = await rest.status(me, 'why');
      if (current && next) setAnswer(next);
    }
    // `asked` grows with everything the person does here: then at once, otherwise now and then.
    const timers = [setTimeout(ask, asked === 0 ? 400 : 50), setInterval(ask, LOOK_EVERY_MS)];
    return () => {
      current = false;
      timers.forEach(clearTimeout);
    };
  }, [me, rest, client, asked]);
  return { answer, look: () => setAsked((count) => count + 1) };
}

function DetailForm({ onSave }: { onSave: (text: string) => void }) {
  const [text, setText] = useState('');
  function submit(event: FormEvent): void {
    event.preventDefault();
    onSave(text.trim());
  }
  return (
    <form className="row" onSubmit={submit}>
      <label className="hidden" htmlFor="detail">
        What others read beside your name
      </label>
      <input
        id="detail"
        autoComplete="off"
        placeholder="In a meeting, on the train, …"
        maxLength={100}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <button type="submit">Set</button>
    </form>
  );
}
