/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * Says where nothing can be computed, or only slowly, and what to do in this
 * browser.
 *
 * @module
 */
import { browserOf } from "../../gpu/browsers.ts";
import { text } from "../../studio/page/state/preferences.ts";
import type { ModelHolder } from "../state/model_holder.ts";
import { siteText } from "../strings.ts";

/** Nothing where there is a GPU. */
export function GpuNotice({ holder }: { holder: ModelHolder }) {
  const words = siteText.value.gpu;
  const status = holder.status.value;
  const browser = browserOf(navigator.userAgent);
  if (status.state === "no-gpu") {
    const advice = {
      "too-old": words.tooOld,
      "insecure": words.insecure,
      "no-webgpu": words.noWebGpu[browser],
      "no-adapter": words.noAdapter[browser],
    };
    return (
      <div class="notice warn">
        <p>
          <strong>{words.missing}{text.value.stop}</strong>
          {advice[status.why]}
        </p>
      </div>
    );
  }
  if (status.state !== "software") return null;
  return (
    <div class="notice warn">
      <p>{words.software}{text.value.stop}{words.softwareAdvice[browser]}</p>
      <p class="row">
        <button type="button" onClick={() => holder.allowSoftware()}>
          {words.anyway}
        </button>
      </p>
    </div>
  );
}
