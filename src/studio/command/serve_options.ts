/**
 * The options of `serve`, and what its `--help` prints.
 *
 * @module
 */
import type { LoadChoices } from "../../options/settings.ts";
import { integer, number, path, switched, text } from "../../options/types.ts";
import { UsageError } from "../../host/exit.ts";
import {
  type CommandOptions,
  idleRelease,
  loadOptions,
  optionLines,
  readOptions,
} from "./option_list.ts";

const name = { ...text, placeholder: "NAME" };

/** The options by flag, in the order of `--help`. */
const options = {
  port: {
    type: integer(0, 65535),
    default: "7860",
    help: "port; 0 takes any that is free",
  },
  host: {
    type: name,
    default: "127.0.0.1",
    help:
      "address to listen at; where other machines can reach it, a token is needed",
  },
  "public-host": {
    type: name,
    multiple: true,
    help: "another name it is reached by, such as a proxy's; several times",
  },
  token: {
    type: text,
    help:
      "who has it may ask; else MASTERWEAVER_TOKEN, else one is made where --host is not this machine alone",
  },
  cert: { type: path("FILE"), help: "certificate in PEM, for TLS" },
  key: { type: path("FILE"), help: "its key in PEM" },
  model: { type: path("DIR"), help: "a converted model (weights/mini)" },
  ...loadOptions,
  queue: {
    type: { ...text, placeholder: "URL" },
    help:
      "redis://… to leave the work to workers (mod.ts work), elsewhere too; else MASTERWEAVER_QUEUE",
  },
  "max-waiting": {
    type: integer(1, 100_000),
    default: "100",
    help: "the most jobs that wait; more are told when to come back",
  },
  "job-timeout": {
    type: number(1, 1e6, "SECONDS"),
    default: "3600",
    help: "the longest a job may run",
  },
  "idle-release": idleRelease,
  "cancel-unwatched": {
    type: number(0, 1e6, "SECONDS"),
    help: "stop a job that long after the last one who listened to it left",
  },
  "log-prompts": { type: switched, help: "log what is asked for, prompts too" },
  help: { type: switched, help: "this list" },
} as const satisfies CommandOptions;

/** What was typed. */
export interface ServeFlags extends Partial<Omit<LoadChoices, "keepLoaded">> {
  /** Port; 0 for any. */
  readonly port: number;
  /** Address to listen at. */
  readonly host: string;
  /** Other names it is reached by. */
  readonly publicHosts: readonly string[];
  /** The token, where one was given. */
  readonly token?: string;
  /** Path of the certificate. */
  readonly cert?: string;
  /** Path of its key. */
  readonly key?: string;
  /** The model's folder. */
  readonly model?: string;
  /** A folder with further extra files. */
  readonly extras?: string;
  /** Address of Redis. */
  readonly queue?: string;
  /** The most jobs that wait. */
  readonly maxWaiting: number;
  /** Seconds that a job may run. */
  readonly jobTimeout: number;
  /** Seconds without a call after which the GPU is freed; 0 for never. */
  readonly idleRelease: number;
  /** Seconds until a job is stopped that nobody listens to any more. */
  readonly cancelUnwatched?: number;
  /** Whether prompts are logged. */
  readonly logPrompts: boolean;
  /** Whether only the options are printed. */
  readonly help: boolean;
}

/**
 * Reads the command line.
 *
 * @throws {UsageError} naming the option, what it takes and what was given
 */
export function readServeFlags(args: readonly string[]): ServeFlags {
  const read = readOptions(args, options);
  const flags: ServeFlags = {
    port: read<number>("port")!,
    host: read<string>("host")!,
    publicHosts: read<string[]>("public-host") ?? [],
    token: read("token"),
    cert: read("cert"),
    key: read("key"),
    model: read("model"),
    adapter: read("adapter"),
    taesd: read("taesd"),
    extras: read("extras"),
    dtype: read("dtype"),
    tune: read("tune"),
    queue: read("queue"),
    maxWaiting: read<number>("max-waiting")!,
    jobTimeout: read<number>("job-timeout")!,
    idleRelease: read<number>("idle-release")!,
    cancelUnwatched: read("cancel-unwatched"),
    logPrompts: read("log-prompts") ?? false,
    help: read("help") ?? false,
  };
  checkTogether(flags);
  return flags;
}

function checkTogether({ cert, key, token, host }: ServeFlags): void {
  if ((cert === undefined) !== (key === undefined)) {
    throw new UsageError("Give --cert and --key together");
  }
  // Shorter ones can be guessed.
  if (token !== undefined && !/^[\x21-\x7e]{8,200}$/.test(token)) {
    throw new UsageError(
      "Option --token must be 8 to 200 letters, digits or signs without blanks",
    );
  }
  if (host === "") throw new UsageError("Option --host needs an address");
}

/** What `--help` prints. */
export const serveUsage = `The studio: a page and an HTTP API.

  deno run -A mod.ts serve

${optionLines(options)}
`;
