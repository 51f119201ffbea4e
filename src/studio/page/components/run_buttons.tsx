/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * Generate and Stop.
 *
 * @module
 */
import { text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";
import { Icon } from "./icons.tsx";

/** The buttons, always in sight. */
export function RunButtons() {
  const studio = useStudio();
  const { run: words } = text.value;
  const isBusy = studio.isBusy.value;
  const isHeldUp = studio.isHeldUp.value && studio.isWrong.value;
  return (
    <div class="run-buttons">
      <div role="alert">
        {isHeldUp && <p class="fault">{words.fixFields}</p>}
      </div>
      <div class="row">
        <button type="submit" class="primary" aria-disabled={isBusy}>
          {words.generate}
          <kbd>{words.shortcut}</kbd>
        </button>
        {isBusy && (
          <button
            type="button"
            class="stop"
            onClick={() => studio.stop()}
            disabled={studio.run.value?.isStopping.value ?? false}
          >
            <Icon name="stop" />
            {words.stop}
          </button>
        )}
      </div>
    </div>
  );
}
