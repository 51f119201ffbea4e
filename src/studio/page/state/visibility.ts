/**
 * Whether somebody can see this tab.
 *
 * @module
 */
import { signal } from "../preact.tsx";
import type { ReadonlyCell } from "./cell.ts";

const shown = signal(!document.hidden);
document.addEventListener(
  "visibilitychange",
  () => shown.value = !document.hidden,
);

/** Whether this tab is shown; a hidden one asks the server for as little as it can. */
export const isTabShown: ReadonlyCell<boolean> = shown;
