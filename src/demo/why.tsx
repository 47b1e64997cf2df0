import { useEffect, useState } from 'react';
import { formatLastSeen } from '../client/index.ts';
import type { Settings } from '../client/social.ts';
import { duration, useNow } from './clock.ts';
import { type Device, deviceName } from './devices.ts';
import { Popover } from './popover.tsx';
import type { Rest, StatusAnswer } from './rest.ts';

type Reason = NonNullable<StatusAnswer['why']>;

interface WhyProps {
  answer: StatusAnswer | undefined;
  settings: Settings | undefined;
  rest: Rest;
  devices: readonly Device[];
}

/** What others see of the user, and the server's own reasons for it. */
export function Why({ answer, settings, rest, devices }: WhyProps) {
  if (!answer) return <p className="why">Others see you in a moment …</p>;
  const { status, why } = answer;
  const seen = settings?.visibility === 'nobody' ? 'inactive' : status;
  return (
    <div className="why">
      <p>
        {settings?.visibility === 'friends' ? 'Your friends see you' : 'Others see you'}{' '}
        <strong className={`verdict ${seen}`}>{seen}</strong>
      </p>
      {why && (
        <Popover label="Why?" title={`Why you are ${status}`}>
          <Reasons status={status} why={why} rest={rest} devices={devices} />
          {settings && settings.visibility !== 'everyone' && (
            <p className="note">
              {settings.visibility === 'nobody'
                ? 'Your settings show you to nobody, so others see you inactive whatever the rule says.'
                : 'Your settings show this to your friends; to others you look inactive.'}
            </p>
          )}
        </Popover>
      )}
    </div>
  );
}

function Reasons({ status, why, rest, devices }: Pick<WhyProps, 'rest' | 'devices'> & { status: string; why: Reason }) {
  const now = useNow(500);
  const device = useDeviceName(why.sessionId, rest, devices);
  return (
    <dl className="reasons">
      <dt>Rule</dt>
      <dd>
        <code>{why.rule}</code> {ruleInWords(why.rule, status)}
      </dd>
      <dt>Device</dt>
      <dd>{device ?? 'None in particular'}</dd>
      <dt>Since</dt>
      <dd>
        {why.since === null
          ? 'Not known any more'
          : `${new Date(why.since).toLocaleTimeString('en-GB')}, ${formatLastSeen(why.since, now, 'en')}`}
      </dd>
      <dt>Changes</dt>
      <dd>{nextInWords(why, status, now)}</dd>
      <dt>Says</dt>
      <dd>{sourceInWords(why.source)}</dd>
    </dl>
  );
}

function ruleInWords(rule: string, status: string): string {
  const active = status === 'active';
  switch (rule) {
    case 'heartbeat':
      return 'A device said in time that it is still here.';
    case 'manual':
      return 'You chose to appear inactive, whatever your devices do.';
    case 'timeout':
      return 'No device was heard of for too long.';
    case 'disconnect':
      return active ? 'The last device said goodbye; it may still come back.' : 'The last device said goodbye.';
    case 'handover':
      return active ? 'The server is being replaced and waits for your devices.' : 'No device came back in time.';
    default:
      return 'You logged out.';
  }
}

function sourceInWords(source: string | null): string {
  if (source === null) return 'Nobody says anything beside it';
  if (source === 'manual') return 'You: what you set yourself is shown';
  return `${source === 'call' ? 'A call server' : `A ${source}`}: of all who say something it is the strongest`;
}

function nextInWords({ rule, nextChangeAt }: Reason, status: string, now: number): string {
  if (nextChangeAt === null) return rule === 'manual' ? 'Not before you end it' : 'When a device comes back';
  const leftMs = Date.parse(nextChangeAt) - now;
  if (leftMs <= 0) return 'Any moment now';
  if (status === 'inactive') return `You are shown again in ${duration(leftMs)}`;
  return `Inactive in ${duration(leftMs)}, unless a device is heard of`;
}

/** A device of this page, or one that the server knows by name. */
function useDeviceName(sessionId: string | null, rest: Rest, devices: readonly Device[]): string | undefined {
  const [known, setKnown] = useState<{ sessionId: string; name: string }>();
  useEffect(() => {
    if (sessionId === null) return;
    let current = true;
    void rest.sessions().then((answer) => {
      const session = answer?.sessions.find((one) => one.sessionId === sessionId);
      const name = session ? (session.device.name ?? session.device.kind) : 'One that has left';
      if (current && answer) setKnown({ sessionId, name });
    });
    return () => {
      current = false;
    };
  }, [sessionId, rest]);
  if (sessionId === null) return undefined;
  return deviceName(sessionId, devices) ?? (known?.sessionId === sessionId ? known.name : '…');
}
