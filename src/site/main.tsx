/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * Starts the page that computes everything itself.
 *
 * @module
 */
import { App } from "../studio/page/components/app.tsx";
import { StudioContext } from "../studio/page/components/use_studio.tsx";
import { render } from "../studio/page/preact.tsx";
import {
  applyPreferences,
  replaceStrings,
} from "../studio/page/state/preferences.ts";
import { Studio } from "../studio/page/state/studio.ts";
import { ModelPanel } from "./components/model_panel.tsx";
import { LocalEngine } from "./engine/local_engine.ts";
import { offlineReady } from "./offline.ts";
import { allowOwnScripts } from "./own_scripts.ts";
import { ModelHolder } from "./state/model_holder.ts";
import { withoutServer } from "./strings.ts";

const worker = (name: string) =>
  new URL(`workers/${name}_worker.js`, import.meta.url);

allowOwnScripts();

/** The model's folder, as the document names it. */
const { content } = document.querySelector<HTMLMetaElement>(
  "meta[name=masterweaver-model]",
)!;
const holder = new ModelHolder({
  kind: "address",
  url: new URL(content, document.baseURI).href,
  name: decodeURIComponent(content.split("/").at(-2)!),
}, {
  gpu: worker("gpu"),
  photo: worker("photo"),
  weights: worker("weights"),
});
const studio = new Studio(new LocalEngine(holder));
holder.onReady = () => {
  studio.connection.connect();
  studio.photos.askAgain();
};
replaceStrings(withoutServer);
applyPreferences();
render(
  <StudioContext.Provider value={studio}>
    <App notice={<ModelPanel holder={holder} />} links={null} />
  </StudioContext.Provider>,
  document.getElementById("page")!,
);
// Workers come through the service worker, which gives them the page's policy.
offlineReady().then(() => holder.start());
await studio.start();
