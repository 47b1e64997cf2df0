import { useEffect, useState } from 'react';
import type { SocialClient, Source } from '../client/social.ts';
import { AGENT, type Rest } from './rest.ts';

const LOOK_EVERY_MS = 2000;

const SPEAKERS = {
  calendar: 'A calendar says',
  call: 'A call server says',
} as const;
type Speaker = keyof typeof SPEAKERS;

interface SaidProps {
  client: SocialClient;
  rest: Rest;
  onAct: (action: Promise<unknown>) => void;
}

/** What programs say: a calendar and a call server of the user, and an agent that is here by a lease. */
export function Said({ client, rest, onAct }: SaidProps) {
  const { sources, agentIsHere, look } = useSaid(client, rest);
  const act = (action: Promise<unknown>) => onAct(action.then(look));
  return (
    <fieldset className="row spread" aria-label="What programs say">
      {(Object.keys(SPEAKERS) as Speaker[]).map((source) => {
        const says = sources.some((one) => one.source === source);
        return (
          <button
            key={source}
            type="button"
            aria-pressed={says}
            title={says ? 'Until you press again, or for a minute' : 'Say it for a minute'}
            onClick={() => act(rest.say(source, !says))}
          >
            {SPEAKERS[source]}
          </button>
        );
      })}
      <button
        type="button"
        aria-pressed={agentIsHere}
        title="Here by a lease of 20 seconds, which nobody renews"
        onClick={() => act(rest.sendAgent(!agentIsHere))}
      >
        An agent works
      </button>
    </fieldset>
  );
}

/** Looked at now and then, since all of it ends by itself, and at once after what the person does here. */
function useSaid(client: SocialClient, rest: Rest) {
  const [sources, setSources] = useState<readonly Source[]>([]);
  const [agentIsHere, setAgentIsHere] = useState(false);
  const [asked, setAsked] = useState(0);
  useEffect(() => {
    let current = true;
    async function look(): Promise<void> {
      const [agent] = await rest.statuses([AGENT]);
      if (current) setAgentIsHere(agent?.status === 'active');
    }
    void look();
    // Who begins to listen has the server asked.
    const end = client.sources.subscribe(() => setSources(client.sources.get() ?? []));
    const timer = setTimeout(() => setAsked((count) => count + 1), LOOK_EVERY_MS);
    return () => {
      current = false;
      end();
      clearTimeout(timer);
    };
    // `asked` grows with everything the person does here, too.
  }, [client, rest, asked]);
  return { sources, agentIsHere, look: () => setAsked((count) => count + 1) };
}
