import { useCallback, useEffect, useMemo, useState } from 'react';
import { PresenceProvider, useConnectionState } from '../client/react.tsx';
import { Alerts } from './alerts.tsx';
import { ActiveChart, useSamples } from './chart.tsx';
import { Chat } from './chat.tsx';
import { type Device, firstDevice } from './devices.ts';
import { Documents } from './documents.tsx';
import { Logo, Sign } from './icons.tsx';
import { useJournal } from './journal.ts';
import { JournalList } from './journal-list.tsx';
import { usePeople } from './people.ts';
import { signedInAs, staySignedIn } from './remembered.ts';
import { createRest } from './rest.ts';
import { SignIn } from './sign-in.tsx';
import { useSocial } from './social.ts';
import { useTheme } from './theme.ts';
import { Wall } from './wall.tsx';
import { You } from './you.tsx';

export function App() {
  const [me, setMe] = useState(signedInAs);
  const theme = useTheme();
  useEffect(() => staySignedIn(me), [me]);
  if (me === undefined) return <SignIn onSignIn={setMe} />;
  return <SignedIn key={me} me={me} theme={theme} onSignOut={() => setMe(undefined)} />;
}

type Theme = ReturnType<typeof useTheme>;

function SignedIn({ me, theme, onSignOut }: Pick<PageProps, 'me' | 'theme' | 'onSignOut'>) {
  const [devices, setDevices] = useState<readonly [Device, ...Device[]]>(() => firstDevice(me));
  return (
    <PresenceProvider client={devices[0].client}>
      <Page
        me={me}
        theme={theme}
        devices={devices}
        onDevices={([first = devices[0], ...others]) => setDevices([first, ...others])}
        onSignOut={onSignOut}
      />
    </PresenceProvider>
  );
}

interface PageProps {
  me: string;
  theme: Theme;
  devices: readonly [Device, ...Device[]];
  onDevices: (devices: readonly Device[]) => void;
  onSignOut: () => void;
}

function Page({ me, theme, devices, onDevices, onSignOut }: PageProps) {
  const rest = useMemo(() => createRest(me), [me]);
  const [{ client }] = devices;
  const social = useSocial(client);
  const people = usePeople(me, rest, client, social);
  const entries = useJournal(me);
  const others = people.filter((person) => person.status === 'active').length;
  const { status } = useConnectionState();
  const timeline = useCallback(async () => (await rest.timeline())?.points ?? [], [rest]);
  const samples = useSamples(status === 'connected' ? others : undefined, timeline);
  const isStale = status === 'reconnecting' || status === 'closed';
  return (
    <>
      <Header theme={theme} />
      <main className="page">
        <div className={isStale ? 'main stale' : 'main'}>
          <section className="panel pulse" aria-labelledby="pulse-title">
            <header>
              <h2 id="pulse-title">Active now</h2>
              <span className="note">{isStale ? 'may be old: not connected' : 'the last five minutes'}</span>
            </header>
            <p className="count">
              <strong>{others}</strong>
              <span>of {people.length} people</span>
            </p>
            <ActiveChart key={theme.name} samples={samples} label={`${others} people are active now`} />
          </section>
          <Documents me={me} rest={rest} />
          <Wall people={people} client={client} social={social} rest={rest} />
        </div>
        <div className="side">
          <You me={me} rest={rest} social={social} devices={devices} onDevices={onDevices} onSignOut={onSignOut} />
          <Chat me={me} blocks={social.blocks} />
          <JournalList entries={entries} />
        </div>
      </main>
      <Alerts onAlert={social.look} />
    </>
  );
}

function Header({ theme }: { theme: Theme }) {
  const state = useConnectionState();
  return (
    <header className="top">
      <h1>
        <Logo /> Rollcall
      </h1>
      <span className={`pill ${state.status}`} role="status">
        {state.status === 'connected' ? 'live' : state.status}
      </span>
      <nav aria-label="More">
        <a href="/docs">API</a>
        <a href="/admin/queues">Queues</a>
        <a href="/metrics">Metrics</a>
      </nav>
      <button
        type="button"
        className="round"
        onClick={theme.toggle}
        aria-label={`Switch to the ${theme.name === 'dark' ? 'light' : 'dark'} look`}
      >
        <Sign name={theme.name === 'dark' ? 'sun' : 'moon'} />
      </button>
    </header>
  );
}
