/**
 * Starts the service worker, with which the page works offline and its Workers
 * keep to the page's policy.
 *
 * @module
 */

/** Milliseconds that its first start may take. */
const PATIENCE = 5000;

/** Settles once the service worker serves this page; in a browser that has none, at once. */
export async function offlineReady(): Promise<void> {
  const { serviceWorker } = navigator as Partial<Navigator>;
  if (!serviceWorker) return;
  try {
    const served = new Promise<void>((resolve) => {
      if (serviceWorker.controller) resolve();
      serviceWorker.addEventListener("controllerchange", () => resolve());
    });
    await serviceWorker.register("service_worker.js");
    await Promise.race([served, pause(PATIENCE)]);
  } catch {
    // It works without, but not offline.
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
