import { useEffect, useId, useRef, useState } from 'react';
import { PresenceProvider, useConnectionState } from '../client/react.tsx';
import { duration, useNow } from './clock.ts';
import type { Device } from './devices.ts';
import { DeviceIcon } from './icons.tsx';
import type { Rest } from './rest.ts';

const LOOK_EVERY_MS = 2000;

interface DeviceRowProps {
  device: Device;
  rest: Rest;
  /** Undefined: it cannot be closed. */
  onClose: (() => void) | undefined;
}

/** One device with its own connection, and everything that can happen to it. */
export function DeviceRow({ device, rest, onClose }: DeviceRowProps) {
  return (
    <PresenceProvider client={device.client}>
      <Row device={device} rest={rest} onClose={onClose} />
    </PresenceProvider>
  );
}

function Row({ device, rest, onClose }: DeviceRowProps) {
  const state = useConnectionState();
  const [idle, setIdle] = useState(false);
  const [mute, setMute] = useState(false);
  const [down, setDown] = useState(false);
  const says = useId();
  const { client, network, kind, label } = device;

  const toggle = (on: boolean, set: (on: boolean) => void, act: (on: boolean) => void) => () => {
    act(!on);
    set(!on);
  };
  return (
    <li>
      <DeviceIcon kind={kind} />
      <div className="who">
        <strong className="name">{label}</strong>
        <span className={`connection ${state.status}`}>
          {state.status === 'closed' ? `closed: ${state.reason.replace('_', ' ')}` : state.status}
        </span>
        {onClose && (
          <button type="button" className="quiet" title="Says goodbye" onClick={onClose}>
            Close
          </button>
        )}
        {!onClose && state.status === 'closed' && (
          <button type="button" className="quiet" onClick={() => client.connect()}>
            Reconnect
          </button>
        )}
      </div>
      <fieldset className="actions" aria-label={label} aria-describedby={says}>
        <span className="pretend">Pretend</span>
        <button
          type="button"
          aria-pressed={idle}
          title="As after a minute without input"
          onClick={toggle(idle, setIdle, (on) => client.setActivity(on ? 'idle' : 'auto'))}
        >
          Idle
        </button>
        <button
          type="button"
          aria-pressed={mute}
          title="The connection stays, the program hangs"
          onClick={toggle(mute, setMute, network.setMute)}
        >
          No heartbeats
        </button>
        <button
          type="button"
          aria-pressed={down}
          title="As when a cable is pulled: nobody is told"
          onClick={toggle(down, setDown, network.setDown)}
        >
          No network
        </button>
      </fieldset>
      <p id={says} className="pretends">
        {pretended(idle, mute, down)}
        {(mute || down) && <Countdown rest={rest} />}
      </p>
    </li>
  );
}

/** What the server and others are made to believe, in a sentence. */
function pretended(idle: boolean, mute: boolean, down: boolean): string {
  if (down) return 'As if the cable were pulled: nothing gets through, and nobody is told.';
  if (mute) return 'As if the program hung: connected, but no sign of life.';
  return idle ? 'As if nobody had touched it for a minute: still active, but idle.' : '';
}

/** How long the device still counts without a sign of life, as the server has it. */
function Countdown({ rest }: { rest: Rest }) {
  const deadline = useDeadline(rest);
  const now = useNow(500);
  if (deadline === undefined) return null;
  if (deadline === null) return <strong> It counts as gone.</strong>;
  return <strong> Counts as gone in {duration(Math.max(0, deadline - now))}.</strong>;
}

/** Milliseconds of the server's clock; null: it is over; undefined: not known. */
function useDeadline(rest: Rest): number | null | undefined {
  const state = useConnectionState();
  const last = useRef<{ sessionId: string | null; ttlMs: number }>(undefined);
  if (state.status === 'connected') last.current = { sessionId: state.sessionId, ttlMs: state.ttlMs };
  const [deadline, setDeadline] = useState<number | null>();
  useEffect(() => {
    let current = true;
    async function look(): Promise<void> {
      const own = last.current;
      const answer = own && (await rest.sessions());
      if (!current || !answer) return;
      const session = answer.sessions.find((one) => one.sessionId === own.sessionId);
      setDeadline(session ? Date.parse(session.lastHeartbeat) + own.ttlMs : null);
    }
    void look();
    const timer = setInterval(look, LOOK_EVERY_MS);
    return () => {
      current = false;
      clearInterval(timer);
    };
  }, [rest]);
  return deadline;
}
