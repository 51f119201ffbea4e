/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * A dialog over the page: Escape and a click beside it close it.
 *
 * @module
 */
import { type ComponentChildren, useEffect, useRef } from "../preact.tsx";
import { text } from "../state/preferences.ts";
import { Icon } from "./icons.tsx";

/** A dialog that is open as long as it is there. */
export function Dialog({ label, className, onClose, onKeyDown, children }: {
  label: string;
  className?: string;
  onClose: () => void;
  onKeyDown?: (event: KeyboardEvent) => void;
  children: ComponentChildren;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      class={className}
      aria-label={label}
      onClose={onClose}
      onKeyDown={onKeyDown}
      onClick={(event) => {
        if (event.target === dialog.current) onClose();
      }}
    >
      <div class="dialog-body">
        <button
          type="button"
          class="icon-button dialog-close"
          aria-label={text.value.dialog.close}
          onClick={onClose}
        >
          <Icon name="close" />
        </button>
        {children}
      </div>
    </dialog>
  );
}
