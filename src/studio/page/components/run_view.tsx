/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * The images that are being made, in the places where they will be.
 *
 * @module
 */
import { text } from "../state/preferences.ts";
import type { Run } from "../state/run.ts";
import { useStudio } from "./use_studio.tsx";
import { References } from "./references.tsx";

/** A place for each image, which a preview fills. */
export function RunView({ run }: { run: Run }) {
  const model = useStudio().connection.model.value;
  const words = text.value.result;
  const { settings } = run.job;
  const own = model?.size.own ?? 1;
  const { width = own, height = own, numImages = 1 } = settings;
  const previews = run.previews.value;
  if (!run.isActive && previews.length === 0) return null;
  // A preview has few pixels: what is not known yet is soft, not square.
  const filter = `blur(${(1 - run.sharpness.value) * 8}px)`;
  return (
    <div class="result">
      <div>
        <div class="grid" data-count={numImages}>
          {Array.from({ length: numImages }, (_, i) => (
            <div
              key={i}
              class={run.isActive ? "tile working" : "tile"}
              style={{ aspectRatio: `${width} / ${height}` }}
            >
              {previews[i] && (
                <img
                  src={previews[i]}
                  alt={words.preview(i + 1)}
                  style={{ filter }}
                />
              )}
            </div>
          ))}
        </div>
        <p class="result-prompt">{settings.prompt}</p>
      </div>
      <aside class="facts" aria-label={words.references}>
        <References urls={run.references.value.map(({ url }) => url)} />
      </aside>
    </div>
  );
}
