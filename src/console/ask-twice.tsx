import { type ReactNode, useRef, useState } from 'react';
import { end, Refusal } from './ask.ts';

interface Asked {
  /** What the button says, and what the question repeats. */
  act: string;
  /** Whom or what it is about, for who hears the button alone. */
  what: string;
  /** What comes of it. */
  children: ReactNode;
  path: string;
  done: (said: string) => void;
}

/** A button that ends something, once its question has been answered too. */
export function AskTwice({ act, what, children, path, done }: Asked) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [refusal, setRefusal] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const go = async () => {
    setBusy(true);
    try {
      await end(path);
      dialog.current?.close();
      done(`${act}: done, and noted in the audit.`);
    } catch (error) {
      setRefusal(error instanceof Refusal ? error.message : 'That did not work.');
    } finally {
      setBusy(false);
    }
  };
  const ask = () => {
    setRefusal(null);
    dialog.current?.showModal();
  };
  return (
    <>
      <button type="button" className="danger" onClick={ask} aria-label={`${act}: ${what}`}>
        {act}
      </button>
      <dialog ref={dialog} aria-label={`${act}?`}>
        <h2>{act}?</h2>
        <p>{children}</p>
        <p className="faint">It is noted in the audit, with your name.</p>
        {refusal && (
          <p className="sad" role="alert">
            {refusal}
          </p>
        )}
        <div className="row">
          <button type="button" onClick={() => dialog.current?.close()}>
            Leave it
          </button>
          <button type="button" className="danger sure" onClick={go} disabled={busy}>
            {act}
          </button>
        </div>
      </dialog>
    </>
  );
}
