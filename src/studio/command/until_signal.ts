/**
 * Goes on until Ctrl-C or SIGTERM.
 *
 * @module
 */
import { onSignals } from "../../host/exit.ts";
import { writeStderr } from "../../host/streams.ts";
import type { RunningStudio } from "../serve.ts";

/** Milliseconds that the running job may take after the first signal. */
export const PATIENCE = 30_000;

/**
 * Waits for a signal, then ends in order; a second signal ends the process at
 * once.
 *
 * @param onFirst says what happens now
 * @param end ends what runs
 */
export async function untilSignal(
  onFirst: () => void,
  end: () => Promise<void>,
): Promise<void> {
  const first = Promise.withResolvers<void>();
  let count = 0;
  using _ = onSignals((signal) => {
    if (count++ > 0) Deno.exit(signal === "SIGINT" ? 130 : 143);
    onFirst();
    first.resolve();
  });
  await first.promise;
  await end();
}

/**
 * Serves until a signal.
 *
 * @param patience milliseconds that the running job may take
 */
export async function serveUntilSignal(
  { studio, shutdown }: RunningStudio,
  patience: number = PATIENCE,
): Promise<void> {
  await untilSignal(() => {
    if (studio.queue.counts.running === 0) return;
    writeStderr(
      `Ending after the running job, within ${
        patience / 1000
      } s; press Ctrl-C again to end at once\n`,
    );
  }, () => shutdown(patience));
}
