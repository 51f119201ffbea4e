/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * What the page uses of Preact, in one place; TSX files name it once more, for
 * the compiler. It is one itself so that our rules for documentation do not
 * apply to what Preact exports.
 *
 * @module
 */
// No import map: it would not apply where mod.ts is imported from elsewhere.
export { createContext, render } from "npm:preact@11.2.0";
export type { ComponentChildren } from "npm:preact@11.2.0";
export {
  useContext,
  useEffect,
  useId,
  useMemo,
  useRef,
} from "npm:preact@11.2.0/hooks";
export {
  batch,
  computed,
  effect,
  signal,
  useComputed,
  useSignal,
} from "npm:@preact/signals@2.11.4";
