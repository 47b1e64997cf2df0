interface ChoiceProps<T extends string> {
  label: string;
  options: Readonly<Record<T, string>>;
  chosen: T | undefined;
  disabled?: boolean;
  onChoose: (option: T) => void;
}

/** One of a few. */
export function Choice<T extends string>({ label, options, chosen, disabled = false, onChoose }: ChoiceProps<T>) {
  return (
    <fieldset className="choice" disabled={disabled}>
      <legend>{label}</legend>
      <div className="tabs">
        {(Object.keys(options) as T[]).map((option) => (
          <button key={option} type="button" aria-pressed={chosen === option} onClick={() => onChoose(option)}>
            {options[option]}
          </button>
        ))}
      </div>
    </fieldset>
  );
}
