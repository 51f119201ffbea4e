/**
 * Extra files that a client chose: that one of them cannot be used is the client's
 * fault, not the server's, whose model may be a bad one by the same code.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import type { AskedExtras, CallExtras } from "../../host/call_extras.ts";

/**
 * Opens the extra files that a client chose, works with them, and closes them.
 *
 * @throws what `work` throws; {MasterWeaverError} `bad-option` where a file is missing, holds something else, or does not go with the model; `cannot-read`, `bad-checkpoint`
 */
export async function withChosenExtras<T>(
  host: { openExtras(asked: AskedExtras): Promise<CallExtras> },
  asked: AskedExtras,
  work: (extras: CallExtras) => Promise<T>,
): Promise<T> {
  const extras = await host.openExtras(asked).catch((error: unknown) => {
    throw isBadModel(error) ? badChoice(error) : error;
  });
  // `using` is a word that Safari does not know.
  try {
    return await work(extras);
  } catch (error) {
    throw isBadModel(error) && isAbout(error, extras)
      ? badChoice(error)
      : error;
  } finally {
    await extras[Symbol.asyncDispose]();
  }
}

/** Whether an error is about one of the files, which the library checks against the model. */
function isAbout(
  { message }: MasterWeaverError,
  { controls, upscalers }: CallExtras,
): boolean {
  const files = [
    ...controls.map(({ net }) => net),
    ...Object.values(upscalers),
  ];
  return files.some(({ name }) =>
    ["Cannot use ", "Cannot use the ControlNet "].some((start) =>
      message.startsWith(start + name)
    )
  );
}

function isBadModel(error: unknown): error is MasterWeaverError {
  return error instanceof MasterWeaverError && error.code === "bad-model";
}

function badChoice(error: MasterWeaverError): MasterWeaverError {
  return new MasterWeaverError("bad-option", error.message, { cause: error });
}
