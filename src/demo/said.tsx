import { useEffect, useState } from 'react';
import { AGENT, type Rest, type Source } from './rest.ts';

const LOOK_EVERY_MS = 2000;

const SPEAKERS = {
  calendar: 'A calendar says',
  call: 'A call server says',
} as const;
type Speaker = keyof typeof SPEAKERS;

interface SaidProps {
  rest: Rest;
  onAct: (action: Promise<unknown>) => void;
}

/** What programs say: a calendar and a call server of the user, and an agent that is here by a lease. */
export function Said({ rest, onAct }: SaidProps) {
  const { sources, agentIsHere, look } = useSaid(rest);
  const act = (action: Promise<unknown>) => onAct(action.then(look));
  return (
    <fieldset className="row spread said" aria-label="What programs say">
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
function useSaid(rest: Rest) {
  const [sources, setSources] = useState<readonly Source[]>([]);
  const [agentIsHere, setAgentIsHere] = useState(false);
  const [asked, setAsked] = useState(0);
  useEffect(() => {
    let current = true;
    async function look(): Promise<void> {
      const [said, [agent]] = await Promise.all([rest.sources(), rest.statuses([AGENT])]);
      if (!current) return;
      if (said) setSources(said.sources);
      setAgentIsHere(agent?.status === 'active');
    }
    void look();
    const timer = setInterval(look, LOOK_EVERY_MS);
    return () => {
      current = false;
      clearInterval(timer);
    };
    // `asked` grows with everything the person does here.
  }, [rest, asked]);
  return { sources, agentIsHere, look: () => setAsked((count) => count + 1) };
}
