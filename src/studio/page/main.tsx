/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * Starts the page in its document.
 *
 * @module
 */
import { App } from "./components/app.tsx";
import { HttpEngine } from "./engine/http_engine.ts";
import { render } from "./preact.tsx";
import { applyPreferences } from "./state/preferences.ts";
import { StudioContext } from "./components/use_studio.tsx";
import { Studio } from "./state/studio.ts";

const studio = new Studio(new HttpEngine());
applyPreferences();
render(
  <StudioContext.Provider value={studio}>
    <App />
  </StudioContext.Provider>,
  document.getElementById("page")!,
);
await studio.start();
