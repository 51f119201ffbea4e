/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * A group of the form that is folded away.
 *
 * @module
 */
import type { ComponentChildren } from "../preact.tsx";
import type { GroupName } from "../state/form_options.ts";
import { text } from "../state/preferences.ts";
import { takeDropped } from "./file_input.tsx";
import { useStudio } from "./use_studio.tsx";

/** A group: its heading says how much in it is not as it was. */
export function Fold({ name, more = 0, resets = true, onFile, children }: {
  name: GroupName;
  /** How much in it was chosen besides options. */
  more?: number;
  /** Whether its options can be emptied at once. */
  resets?: boolean;
  /** Takes a file that is dropped on it. */
  onFile?: (file: Blob) => void;
  children: ComponentChildren;
}) {
  const { form, extras } = useStudio();
  const words = text.value.form;
  const changed = form.changedIn(name);
  return (
    <details
      class="fold"
      id={idOf(name)}
      onDrop={(event) => {
        const file = onFile && takeDropped(event);
        if (!file) return;
        event.currentTarget.open = true;
        onFile(file);
      }}
      onToggle={({ currentTarget }) => {
        if (!currentTarget.open) return;
        // Files may have come since the page asked.
        extras.refresh();
        // Without that, what is unfolded lies below the panel's edge.
        const panel = currentTarget.closest(".panel");
        if (panel && panel.scrollHeight > panel.clientHeight) {
          panel.scrollTo({ top: currentTarget.offsetTop });
        }
      }}
    >
      <summary>
        {words.groups[name]}
        {changed + more > 0 && (
          <span class="badge">{words.changed(changed + more)}</span>
        )}
      </summary>
      <div class="fold-body">
        {children}
        {resets && changed > 0 && (
          <button
            type="button"
            onClick={() => form.reset(name)}
          >
            {words.reset}
          </button>
        )}
      </div>
    </details>
  );
}

/** Unfolds a group, and goes there. */
export function unfold(name: GroupName): void {
  const fold = document.getElementById(idOf(name));
  if (!(fold instanceof HTMLDetailsElement)) return;
  fold.open = true;
  fold.querySelector("summary")?.focus({ preventScroll: true });
  fold.scrollIntoView({ block: "start" });
}

function idOf(name: GroupName): string {
  return `fold-${name}`;
}
