import { useState } from 'react';
import { PresenceProvider, useConnectionState } from '../client/react.tsx';
import type { Device } from './devices.ts';
import { DeviceIcon } from './icons.tsx';

/** One device with its own connection, and everything that can happen to it. */
export function DeviceRow({ device, onClose }: { device: Device; onClose: (() => void) | undefined }) {
  return (
    <PresenceProvider client={device.client}>
      <Row device={device} onClose={onClose} />
    </PresenceProvider>
  );
}

function Row({ device, onClose }: { device: Device; onClose: (() => void) | undefined }) {
  const state = useConnectionState();
  const [idle, setIdle] = useState(false);
  const [mute, setMute] = useState(false);
  const [down, setDown] = useState(false);
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
      <fieldset className="actions" aria-label={label}>
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
    </li>
  );
}
