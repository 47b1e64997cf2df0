import { type FormEvent, useEffect, useState } from 'react';
import type { PresenceClient } from '../client/index.ts';
import { DeviceRow } from './device-row.tsx';
import { anotherDevice, type Device } from './devices.ts';
import { Hide } from './hide.tsx';
import { Avatar, Sign } from './icons.tsx';
import { displayName } from './names.ts';
import { Notify } from './notify.tsx';
import { Privacy } from './privacy.tsx';
import type { Rest, StatusAnswer } from './rest.ts';
import { Said } from './said.tsx';
import type { Social } from './social.ts';
import { Why } from './why.tsx';

const LOOK_EVERY_MS = 2000;

interface YouProps {
  me: string;
  rest: Rest;
  social: Social;
  /** The first is the one that the page itself goes by. */
  devices: readonly [Device, ...Device[]];
  onDevices: (devices: readonly Device[]) => void;
  onSignOut: () => void;
}

/** The signed-in person as others see them, and all there is to try out. */
export function You({ me, rest, social, devices, onDevices, onSignOut }: YouProps) {
  const [{ client }] = devices;
  const seen = useSeenByOthers(me, rest, client);
  const [problem, setProblem] = useState('');

  function attempt(action: Promise<unknown>): void {
    setProblem('');
    action.then(
      () => seen.look(),
      (error: Error) => setProblem(error.message),
    );
  }

  function hide(hidden: boolean, expiresInSeconds?: number): void {
    const chosen = client.setStatus(hidden ? 'inactive' : 'active', { expiresInSeconds });
    // Shown at once, so that a second press means the opposite; the server's own answer follows.
    attempt(chosen.then(() => seen.assume(hidden)));
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
          <Why answer={seen.answer} settings={social.settings} rest={rest} devices={devices} />
        </div>
      </header>
      <ul className="own-devices">
        {devices.map((device) => (
          <DeviceRow
            key={device.key}
            device={device}
            rest={rest}
            onClose={device === devices[0] ? undefined : () => remove(device)}
          />
        ))}
      </ul>
      <DetailForm onSave={(text) => attempt(client.setDetail(text === '' ? {} : { text }))} />
      <Hide hidden={seen.answer?.why?.rule === 'manual'} until={seen.answer?.why?.nextChangeAt ?? null} onHide={hide} />
      <Said client={client} rest={rest} onAct={attempt} />
      <Privacy
        settings={social.settings}
        onChange={(change) => attempt(social.change(client.settings.change(change)))}
      />
      <div className="row spread">
        <button type="button" onClick={add} disabled={devices.length >= 4}>
          <Sign name="plus" /> Add device
        </button>
        <Notify me={me} push={client.push} onProblem={setProblem} />
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

/** Nobody is told of their own changes, so the page asks. */
function useSeenByOthers(me: string, rest: Rest, client: PresenceClient) {
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
  function assume(hidden: boolean): void {
    const why = {
      rule: hidden ? 'manual' : 'heartbeat',
      sessionId: null,
      since: null,
      nextChangeAt: null,
      source: null,
    };
    setAnswer((known) => known && { ...known, status: hidden ? 'inactive' : 'active', why });
  }
  return { answer, assume, look: () => setAsked((count) => count + 1) };
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
