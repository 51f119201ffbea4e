/**
 * The process in which the hub's client runs; {@linkcode ../hub.ts} starts it.
 *
 * @module
 */
import { type Answer, HUB_CLIENT, type Question } from "./hub.ts";

/** As much of the package as is used here. */
interface HubClient {
  readonly HubApiError: new (...args: never[]) => Error & {
    readonly statusCode: number;
  };
  pathsInfo(question: Question): Promise<Answer["found"]>;
}

if (import.meta.main) {
  const question: Question = await new Response(Deno.stdin.readable).json();
  const client: HubClient = await import(HUB_CLIENT);
  let answer: Answer;
  try {
    answer = { found: await client.pathsInfo(question) };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    answer = {
      fault: error.message,
      status: error instanceof client.HubApiError
        ? error.statusCode
        : undefined,
    };
  }
  console.log(JSON.stringify(answer));
}
