/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * A button for what cannot be undone: it asks once more.
 *
 * @module
 */
import {
  type ComponentChildren,
  useEffect,
  useRef,
  useSignal,
} from "../preact.tsx";
import { text } from "../state/preferences.ts";

/** A button that gives way to a question, with the harmless answer first. */
export function AskFirst({ question, className, onYes, children }: {
  question: string;
  className?: string;
  onYes: () => void;
  children: ComponentChildren;
}) {
  const words = text.value.history;
  const isAsking = useSignal(false);
  const button = useRef<HTMLButtonElement>(null);
  const isFirst = useRef(true);
  useEffect(() => {
    // The focus would be lost with the button that had it.
    if (!isFirst.current) button.current?.focus();
    isFirst.current = false;
  }, [isAsking.value]);
  if (!isAsking.value) {
    return (
      <button
        ref={button}
        type="button"
        class={className}
        onClick={() => isAsking.value = true}
      >
        {children}
      </button>
    );
  }
  return (
    <div
      class="question"
      role="group"
      aria-label={question}
      onKeyDown={({ key }) => {
        if (key === "Escape") isAsking.value = false;
      }}
    >
      <p>{question}</p>
      <button
        ref={button}
        type="button"
        onClick={() => isAsking.value = false}
      >
        {words.keep}
      </button>
      <button
        type="button"
        class="stop"
        onClick={() => {
          onYes();
          // This button goes with what it deleted.
          document.getElementById("images")?.focus({ preventScroll: true });
        }}
      >
        {words.remove}
      </button>
    </div>
  );
}
