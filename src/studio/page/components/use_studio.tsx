/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * Where components find the studio.
 *
 * @module
 */
import { createContext, useContext } from "../preact.tsx";
import type { Studio } from "../state/studio.ts";

/** Holds the studio of the components inside. */
export const StudioContext = createContext<Studio | null>(null);

/** The studio that a component belongs to. */
export function useStudio(): Studio {
  const studio = useContext(StudioContext);
  if (!studio) throw new Error("There is no studio around this component");
  return studio;
}
