/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * Says how far the model is, what to do where nothing can be computed, and takes
 * another model.
 *
 * @module
 */
import { useSignal } from "../../studio/page/preact.tsx";
import { language, text } from "../../studio/page/state/preferences.ts";
import { toEngineError } from "../engine/errors.ts";
import { canPickFolder, folderOf, pickFolder } from "../model/pick.ts";
import { isLandmarks } from "../model/landmarks.ts";
import type { FolderPlace } from "../model/place.ts";
import type { ModelHolder, ModelStatus } from "../state/model_holder.ts";
import { siteText } from "../strings.ts";
import { GpuNotice } from "./gpu_notice.tsx";

/** How far the model is. */
export function ModelPanel({ holder }: { holder: ModelHolder }) {
  const status = holder.status.value;
  return (
    <section class="model-panel" aria-label={siteText.value.local}>
      <div role="status">
        <GpuNotice holder={holder} />
        {status.state === "coming" && (
          <Coming name={holder.place.value.name} status={status} />
        )}
        {status.state === "failed" && (
          <Failed
            holder={holder}
            status={status}
          />
        )}
      </div>
      <More holder={holder} />
    </section>
  );
}

function Coming(
  { name, status: { progress } }: {
    name: string;
    status: ModelStatus & { state: "coming" };
  },
) {
  const words = siteText.value.model;
  const isFetched = progress?.stage === "fetch" &&
    progress.done < progress.total;
  return (
    <div class="model-coming">
      <p>
        {isFetched
          ? words.fetching(name, size(progress.done), size(progress.total))
          : progress?.stage === "check"
          ? words.checking(name)
          : words.opening(name)}
      </p>
      <progress
        aria-label={words.progress}
        {...progress && { max: progress.total, value: progress.done }}
      />
    </div>
  );
}

function Failed({ holder, status: { error } }: {
  holder: ModelHolder;
  status: ModelStatus & { state: "failed" };
}) {
  const words = siteText.value.model;
  return (
    <div class="notice warn">
      <p>
        <strong>
          {words.failed(holder.place.value.name)}
          {text.value.stop}
        </strong>
        {error.message}
      </p>
      <p class="row">
        <button type="button" onClick={() => holder.retry()}>
          {words.tryAgain}
        </button>
        {holder.isOwn
          ? (
            <button type="button" onClick={() => holder.fetchAnew()}>
              {words.fetchAgain}
            </button>
          )
          : (
            <button type="button" onClick={() => holder.useOwn()}>
              {words.back}
            </button>
          )}
      </p>
    </div>
  );
}

/** That all stays here, and what else the model may be. */
function More({ holder }: { holder: ModelHolder }) {
  const words = siteText.value.model;
  const status = holder.status.value;
  const { name } = holder.place.value;
  const bytes = status.state === "ready" ? size(status.prepared.bytes) : null;
  return (
    <details class="model-more">
      <summary>{siteText.value.local}</summary>
      <p>
        <strong>{words.heading(name)}</strong>
        {bytes && ` – ${holder.isOwn ? words.kept(bytes) : words.read(bytes)}`}
      </p>
      <div class="row">
        <FolderButton holder={holder} />
        {!holder.isOwn && (
          <button type="button" onClick={() => holder.useOwn()}>
            {words.back}
          </button>
        )}
      </div>
      <p class="hint">{words.pickHint}</p>
      <Landmarks holder={holder} />
    </details>
  );
}

function FolderButton({ holder }: { holder: ModelHolder }) {
  const words = siteText.value.model;
  const fault = useSignal<string | null>(null);
  const take = (place: FolderPlace | null) => {
    fault.value = null;
    if (place) holder.useFolder(place);
  };
  const pick = async () => {
    try {
      take(await pickFolder());
    } catch (error) {
      fault.value = toEngineError(error).message;
      // What is said of a folder that was picked before is not about this one.
      const { state } = holder.status.value;
      if (state === "failed" && !holder.isOwn) holder.useOwn();
    }
  };
  if (canPickFolder()) {
    return (
      <>
        <button type="button" onClick={pick}>{words.pick}</button>
        {fault.value !== null && (
          <p class="fault" role="alert">{fault.value}</p>
        )}
      </>
    );
  }
  return (
    <label class="button">
      <input
        type="file"
        class="unseen"
        {...{ webkitdirectory: true }}
        onChange={({ currentTarget }) => {
          take(folderOf([...currentTarget.files ?? []]));
          // So that the same folder can be picked again.
          currentTarget.value = "";
        }}
      />
      {words.pick}
    </label>
  );
}

/** Takes the landmarks, whose licence is not this project's. */
function Landmarks({ holder }: { holder: ModelHolder }) {
  const words = siteText.value.model;
  const wrong = useSignal<string | null>(null);
  const isThere = holder.place.value.landmarks !== undefined;
  const take = async (file: File | undefined) => {
    if (!file) return;
    const isRight = await isLandmarks(file);
    wrong.value = isRight ? null : file.name;
    if (isRight) holder.use({ ...holder.place.value, landmarks: file });
  };
  return (
    <>
      <div class="row">
        {isThere ? <p>{words.landmarksThere}</p> : (
          <label class="button">
            <input
              type="file"
              class="unseen"
              accept=".weave"
              onChange={({ currentTarget }) => {
                take(currentTarget.files?.[0]);
                currentTarget.value = "";
              }}
            />
            {words.landmarks}
          </label>
        )}
      </div>
      {wrong.value !== null && (
        <p class="fault" role="alert">{words.notLandmarks(wrong.value)}</p>
      )}
      <p class="hint">{words.landmarksHint}</p>
    </>
  );
}

/** Bytes as people read them. */
function size(bytes: number): string {
  const isLarge = bytes >= 1e9;
  return new Intl.NumberFormat(language.value, {
    style: "unit",
    unit: isLarge ? "gigabyte" : "megabyte",
    maximumFractionDigits: isLarge ? 2 : 1,
    minimumFractionDigits: 1,
  }).format(bytes / (isLarge ? 1e9 : 1e6));
}
