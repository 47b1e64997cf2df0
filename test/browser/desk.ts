/** A browser as on a person's desk, with what tests ask of every browser. It keeps nothing and knows no network but this machine. */
export interface Desk {
  /** What its pages complained about, as far as the browser tells: WebKit's driver does not. */
  readonly complaints: readonly string[];
  /** A new page in front of the others. */
  open(url: string): Promise<Tab>;
  /** Ends the browser and removes its profile. */
  close(): Promise<void>;
}

export interface Tab {
  goto(url: string): Promise<void>;
  /** As the button does: the page before, out of the browser's cache where it is there. */
  back(): Promise<void>;
  reload(): Promise<void>;
  /** Runs a function in the page, which knows nothing but what it is given, and returns its result. */
  evaluate<T, Given extends unknown[]>(inPage: (...given: Given) => T, ...given: Given): Promise<T>;
  /** Types into the element by keyboard; a line break is the Enter key. */
  type(selector: string, text: string): Promise<void>;
  /** Until it is shown again, nobody sees this page: another tab is in front of it, or its window is minimized. */
  hide(): Promise<void>;
  show(): Promise<void>;
  screenshot(path: string): Promise<void>;
  close(): Promise<void>;
}
