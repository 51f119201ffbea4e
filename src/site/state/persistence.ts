/**
 * Asks the browser to keep the weights even where disk space runs short.
 *
 * @module
 */

/** The parts of the browser that are used; not all browsers have them. */
interface Surroundings {
  readonly storage?: { persist?(): Promise<boolean> };
  readonly userActivation?: { readonly hasBeenActive: boolean };
}

let isAsked = false;

/**
 * Asks, once a visit. Some browsers put the question to their user, which only
 * makes sense to somebody who has done something here: else it waits for the
 * first click. Nothing is said of a refusal: what the browser drops is fetched
 * again.
 */
export function askToPersist(): void {
  if (isAsked) return;
  isAsked = true;
  const { storage, userActivation } = navigator as Surroundings;
  const ask = () => void storage?.persist?.().catch(() => {});
  if (userActivation?.hasBeenActive) ask();
  else addEventListener("click", ask, { once: true });
}
