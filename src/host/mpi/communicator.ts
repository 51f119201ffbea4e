/**
 * The ranks of a run that Open MPI's `mpirun` started.
 *
 * Collective calls block a thread of Deno's pool, whichever is free, one at a time.
 * Polling non-blocking calls instead would need no other thread, but Open MPI moves
 * data only inside its calls: nothing would move while JavaScript encodes an image.
 * For that, MPI must take calls from any thread (`MPI_THREAD_SERIALIZED`). It is
 * asked for `MPI_THREAD_MULTIPLE`, so that a rank may abort while a call waits.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import {
  type Communicator,
  singleProcess,
} from "../../train/distributed/communicator.ts";
import { InOrder } from "../../train/distributed/in_order.ts";
import { MpiCollectives, type RankName } from "./collectives.ts";
import { libraryPaths, MpiLibrary } from "./library.ts";

/** A communicator between processes of this and other machines. */
export interface HostCommunicator extends Communicator {
  /** The machine this rank is on. */
  readonly host: string;
  /** Whether `mpirun` started this process, be it the only rank. */
  readonly isLaunched: boolean;
  /** Ends all ranks, this one included. */
  abort(code: number): never;
  /**
   * Leaves, once every rank does. A rank that ends without is taken as failed.
   *
   * @throws {MasterWeaverError} `distributed`
   */
  close(): Promise<void>;
}

/** How {@linkcode openMpi} joins. */
export interface MpiOptions {
  /** How long a call may wait for the other ranks; 1800 s by default, as PyTorch's. */
  readonly timeoutSeconds?: number;
  /** Is told what slows the run down; by default nobody is. */
  readonly warn?: (message: string) => void;
}

/**
 * Joins the ranks of this run. A process that no `mpirun` started is the only
 * rank: it needs no MPI.
 *
 * @throws {MasterWeaverError} `distributed` if Open MPI is missing or does not work, or another MPI started this process
 */
export async function openMpi(
  { timeoutSeconds = 1800, warn = () => {} }: MpiOptions = {},
): Promise<HostCommunicator> {
  if (!startedByOpenMpi()) return alone;
  const library = MpiLibrary.open(libraryPaths());
  library.start();
  const { rank, size, host } = library;
  const ranks = new MpiRanks(library, { rank, size, host }, timeoutSeconds);
  if (Deno.env.get("OMPI_MCA_orte_bound_at_launch") === "1" && rank === 0) {
    warn(
      `mpirun bound each rank to one core, which its threads share (${navigator.hardwareConcurrency} seen); add --bind-to none after mpirun`,
    );
  }
  // Fails here, not hours later, where ranks cannot reach each other.
  await ranks.barrier();
  return ranks;
}

/**
 * Whether this process is a rank of an Open MPI run.
 *
 * @throws {MasterWeaverError} `distributed` if it is one of another MPI's
 */
export function startedByOpenMpi(
  environment: Pick<typeof Deno.env, "get"> = Deno.env,
): boolean {
  const own = ["OMPI_COMM_WORLD_SIZE", "PMIX_RANK"];
  if (own.some((name) => environment.get(name) !== undefined)) return true;
  const others = Number(environment.get("PMI_SIZE") ?? 1);
  if (others <= 1) return false;
  throw new MasterWeaverError(
    "distributed",
    `Cannot join the ${others} ranks of this run: another MPI than Open MPI started them (PMI_SIZE is set); use Open MPI's mpirun, or Slurm's srun --mpi=pmix`,
  );
}

/** The only process of a run. */
const alone: HostCommunicator = {
  ...singleProcess,
  host: "this machine",
  isLaunched: false,
  abort: (code) => Deno.exit(code),
  close: () => Promise.resolve(),
};

class MpiRanks extends InOrder implements HostCommunicator {
  readonly rank: number;
  readonly size: number;
  readonly host: string;
  readonly isLaunched = true;
  readonly #library: MpiLibrary;
  readonly #collectives: MpiCollectives;

  constructor(library: MpiLibrary, name: RankName, timeoutSeconds: number) {
    const collectives = new MpiCollectives(library, name, timeoutSeconds);
    super(collectives);
    ({ rank: this.rank, size: this.size, host: this.host } = name);
    this.#library = library;
    this.#collectives = collectives;
  }

  abort(code: number): never {
    // mpirun ends the others, too, when a rank ends with another code than 0.
    if (this.#library.concurrent || !this.#collectives.isWaiting) {
      this.#library.abort(code);
    }
    Deno.exit(code);
  }

  async close(): Promise<void> {
    await this.barrier();
    await this.#library.finish();
  }
}
