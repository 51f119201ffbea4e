/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * The whole page.
 *
 * @module
 */
import { type ComponentChildren, useEffect, useSignal } from "../preact.tsx";
import { text } from "../state/preferences.ts";
import type { Studio } from "../state/studio.ts";
import { useStudio } from "./use_studio.tsx";
import { Announcer } from "./announcer.tsx";
import { Compare, CompareTray } from "./compare.tsx";
import { ConnectionNotice } from "./connection_notice.tsx";
import { Examples } from "./examples.tsx";
import { FilledNote } from "./filled_note.tsx";
import { unfold } from "./fold.tsx";
import { FormPanel } from "./form_panel.tsx";
import { ApiLink, Header } from "./header.tsx";
import { HistoryList } from "./history_list.tsx";
import { PhotoPanel } from "./photo_panel.tsx";
import { RunButtons } from "./run_buttons.tsx";
import { Stage } from "./stage.tsx";

/**
 * The whole page.
 *
 * @param notice what comes before the form, where there is something to say
 * @param links where the header leads
 */
export function App({ notice, links = <ApiLink /> }: {
  notice?: ComponentChildren;
  links?: ComponentChildren;
}) {
  const studio = useStudio();
  const isDropping = useDropAndPaste();
  const { entries } = studio.history;
  const { state, model } = studio.connection;
  const hasPeople = studio.followsPeople.value;
  const { result, photos: words } = text.value;
  const isEmpty = entries.value.length === 0 && studio.run.value === null;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const isGo = event.key === "Enter" && (event.ctrlKey || event.metaKey);
      if (!isGo || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      generate(studio);
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
  // Before the token, nothing here would work.
  if (state.value === "locked" && !model.value) {
    return (
      <>
        <Header links={links} />
        <main id="images" class="locked">
          <h1>{text.value.title}</h1>
          <ConnectionNotice />
        </main>
      </>
    );
  }
  return (
    <>
      <a class="skip" href="#images">{text.value.header.skip}</a>
      <Header links={links} />
      <ConnectionNotice />
      {notice}
      <div class="columns">
        <form
          class="panel"
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            generate(studio);
          }}
        >
          <FilledNote />
          <PhotoPanel />
          <FormPanel />
          <RunButtons />
        </form>
        <main id="images" class="main" tabIndex={-1}>
          <h1 class="unseen">{text.value.title}</h1>
          {!isEmpty && <Stage />}
          {isEmpty && (
            <p class="welcome">
              {hasPeople ? result.empty : result.emptyPlain}
            </p>
          )}
          {isEmpty && hasPeople && <Examples />}
          <HistoryList />
          {!isEmpty && hasPeople && <Examples />}
        </main>
      </div>
      <CompareTray />
      <Compare />
      <Announcer />
      {isDropping && (
        <div class="drop-cover" aria-hidden="true">
          <p>{hasPeople ? words.dropHere : words.dropImage}</p>
        </div>
      )}
    </>
  );
}

/** Makes images; or goes to what must be put right before that. */
async function generate(studio: Studio): Promise<void> {
  const made = studio.generate();
  if (!studio.isHeldUp.value) return await made;
  const field = document.querySelector<HTMLElement>(
    ".panel [aria-invalid=true]",
  );
  field?.closest("details")?.setAttribute("open", "");
  field?.focus();
}

/** Takes files, and shows what became of them. */
async function take(studio: Studio, files: readonly File[]): Promise<void> {
  await studio.take(files);
  if (!studio.followsPeople.value) unfold("start");
}

/** Takes files that are dropped or pasted anywhere; tells whether some hover. */
function useDropAndPaste(): boolean {
  const studio = useStudio();
  const depth = useSignal(0);
  useEffect(() => {
    const hasFiles = ({ dataTransfer }: DragEvent) =>
      dataTransfer?.types.includes("Files") ?? false;
    const controller = new AbortController();
    const on = <K extends keyof DocumentEventMap>(
      type: K,
      listener: (event: DocumentEventMap[K]) => void,
    ) =>
      document.addEventListener(type, listener, { signal: controller.signal });
    on("dragenter", (event) => {
      if (hasFiles(event)) depth.value++;
    });
    on("dragleave", (event) => {
      if (hasFiles(event)) depth.value = Math.max(0, depth.value - 1);
    });
    on("dragover", (event) => {
      if (hasFiles(event)) event.preventDefault();
    });
    on("drop", (event) => {
      depth.value = 0;
      // A field for a file may have taken it.
      if (!hasFiles(event) || event.defaultPrevented) return;
      event.preventDefault();
      take(studio, [...event.dataTransfer!.files]);
    });
    on("paste", (event) => {
      const files = [...event.clipboardData?.files ?? []];
      if (files.length === 0) return;
      event.preventDefault();
      take(studio, files);
    });
    return () => controller.abort();
  }, []);
  return depth.value > 0;
}
