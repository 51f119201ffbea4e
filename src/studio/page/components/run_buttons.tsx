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
  const obstacle = studio.obstacle.value;
  const isSolved = obstacle === "photo"
    ? studio.photos.list.value.length > 0
    : studio.form.wrong.value.size === 0;
  return (
    <div class="run-buttons">
      <div role="alert">
        {obstacle && !isSolved && (
          <p class="fault">
            {obstacle === "photo" ? words.needsPhoto : words.fixFields}
          </p>
        )}
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
