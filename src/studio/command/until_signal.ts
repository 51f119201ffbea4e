/**
 * Serves until Ctrl-C or SIGTERM.
 *
 * @module
 */
import { onSignals } from "../../host/exit.ts";
import { writeStderr } from "../../host/streams.ts";
import type { RunningStudio } from "../serve.ts";

/** Milliseconds that the running job may take after the first signal. */
const PATIENCE = 30_000;

/**
 * Waits for a signal, then ends the studio in order; a second signal ends the
 * process at once.
 *
 * @param patience milliseconds that the running job may take
 */
export async function untilSignal(
  studio: RunningStudio,
  patience: number = PATIENCE,
): Promise<void> {
  const first = Promise.withResolvers<void>();
  let count = 0;
  using _ = onSignals((signal) => {
    if (count++ > 0) Deno.exit(signal === "SIGINT" ? 130 : 143);
    if (studio.studio.queue.counts.running > 0) {
      writeStderr(
        `Ending after the running job, within ${
          patience / 1000
        } s; press Ctrl-C again to end at once\n`,
      );
    }
    first.resolve();
  });
  await first.promise;
  await studio.shutdown(patience);
}
