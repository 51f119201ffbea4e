/**
 * Open MPI's library: where it is found, and its calls with JavaScript's types.
 *
 * Its handles are addresses of global variables, such as `ompi_mpi_comm_world`.
 * MPICH's and Intel's are numbers of their own: they are refused by name.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";

/** Names the C declarations that are used; all of MPI's results are error codes. */
const SYMBOLS = {
  MPI_Init_thread: {
    parameters: ["pointer", "pointer", "i32", "buffer"],
    result: "i32",
  },
  MPI_Comm_rank: { parameters: ["pointer", "buffer"], result: "i32" },
  MPI_Comm_size: { parameters: ["pointer", "buffer"], result: "i32" },
  MPI_Comm_set_errhandler: {
    parameters: ["pointer", "pointer"],
    result: "i32",
  },
  MPI_Get_processor_name: { parameters: ["buffer", "buffer"], result: "i32" },
  MPI_Error_string: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  MPI_Allreduce: {
    parameters: ["pointer", "buffer", "i32", "pointer", "pointer", "pointer"],
    result: "i32",
    nonblocking: true,
  },
  MPI_Bcast: {
    parameters: ["buffer", "i32", "pointer", "i32", "pointer"],
    result: "i32",
    nonblocking: true,
  },
  MPI_Allgather: {
    parameters: [
      "buffer",
      "i32",
      "pointer",
      "buffer",
      "i32",
      "pointer",
      "pointer",
    ],
    result: "i32",
    nonblocking: true,
  },
  MPI_Barrier: { parameters: ["pointer"], result: "i32", nonblocking: true },
  MPI_Abort: { parameters: ["pointer", "i32"], result: "i32" },
  MPI_Finalize: { parameters: [], result: "i32", nonblocking: true },
  ompi_mpi_comm_world: { type: "pointer" },
  ompi_mpi_float: { type: "pointer" },
  ompi_mpi_byte: { type: "pointer" },
  ompi_mpi_op_sum: { type: "pointer" },
  ompi_mpi_errors_return: { type: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

const VERSION = {
  MPI_Get_library_version: { parameters: ["buffer", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** Open MPI's `MPI_IN_PLACE`. */
const IN_PLACE = 1n;
/** Bytes that any text of MPI fits in. */
const TEXT_BYTES = 1024;

/** `MPI_THREAD_SERIALIZED` and `MPI_THREAD_MULTIPLE`. */
const SERIALIZED = 2, MULTIPLE = 3;

/** How to get it. */
const REMEDY =
  "run `sh tools/setup.sh --with-mpi`, or install Open MPI (Debian and Ubuntu: openmpi-bin; Fedora: openmpi; macOS: open-mpi), or name its library in the environment variable MPI_LIB";

/** Where Open MPI's library may be, the likeliest first. */
export function libraryPaths(
  os: string = Deno.build.os,
  given: string | undefined = Deno.env.get("MPI_LIB"),
): readonly string[] {
  if (given) return [given];
  return os === "darwin"
    ? [
      "libmpi.40.dylib",
      "libmpi.dylib",
      "/opt/homebrew/lib/libmpi.dylib",
      "/usr/local/lib/libmpi.dylib",
    ]
    : [
      // The version of the interface since Open MPI 2.
      "libmpi.so.40",
      "/usr/lib64/openmpi/lib/libmpi.so.40",
      "/usr/local/lib/libmpi.so.40",
      "libmpi.so",
      "libmpi.so.12",
    ];
}

/**
 * Requires that a library is Open MPI.
 *
 * @param version what `MPI_Get_library_version` says
 * @throws {MasterWeaverError} `distributed`
 */
export function requireOpenMpi(version: string, path: string): void {
  if (/^Open MPI v(?:[2-9]|\d\d)/.test(version)) return;
  const [line] = version.split("\n");
  throw new MasterWeaverError(
    "distributed",
    `Cannot use the MPI library ${path}: expected Open MPI 2 or later, found ${
      line.slice(0, 80) || "no version"
    }; ${REMEDY}`,
  );
}

/** Open MPI, loaded into this process. */
export class MpiLibrary {
  /** Its name or path. */
  readonly path: string;
  /** What it says of itself. */
  readonly version: string;
  /** Whether calls of several threads may be under way at once; known once it is started. */
  concurrent = false;
  readonly #symbols: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
  readonly #inPlace = Deno.UnsafePointer.create(IN_PLACE);
  /** What a call reads and writes, held until it ends. */
  #inUse: readonly unknown[] = [];

  private constructor(path: string, version: string) {
    this.path = path;
    this.version = version;
    this.#symbols = Deno.dlopen(path, SYMBOLS).symbols;
  }

  /**
   * Loads it.
   *
   * @param paths where it may be
   * @throws {MasterWeaverError} `distributed` if there is none, or another MPI's
   */
  static open(paths: readonly string[] = libraryPaths()): MpiLibrary {
    let refused: unknown;
    for (const path of paths) {
      const version = versionOf(path);
      if (version === undefined) continue;
      try {
        requireOpenMpi(version, path);
        return new MpiLibrary(path, version);
      } catch (error) {
        refused ??= error;
      }
    }
    throw refused ?? new MasterWeaverError(
      "distributed",
      `Cannot find Open MPI's library, tried ${paths.join(", ")}: ${REMEDY}`,
    );
  }

  /**
   * Joins the ranks.
   *
   * @throws {MasterWeaverError} `distributed`
   */
  start(): void {
    setDefaults();
    const provided = new Int32Array(1);
    this.#check(this.#symbols.MPI_Init_thread(null, null, MULTIPLE, provided));
    if (provided[0] < SERIALIZED) {
      throw new MasterWeaverError(
        "distributed",
        `Cannot use ${this.path}: it takes calls from one thread only (level ${
          provided[0]
        }); use an Open MPI that is built with threads`,
      );
    }
    this.concurrent = provided[0] >= MULTIPLE;
    const { ompi_mpi_comm_world, ompi_mpi_errors_return } = this.#symbols;
    this.#check(
      this.#symbols.MPI_Comm_set_errhandler(
        ompi_mpi_comm_world,
        ompi_mpi_errors_return,
      ),
    );
  }

  /** This process's number. */
  get rank(): number {
    const rank = new Int32Array(1);
    const { ompi_mpi_comm_world } = this.#symbols;
    this.#check(this.#symbols.MPI_Comm_rank(ompi_mpi_comm_world, rank));
    return rank[0];
  }

  /** How many processes there are. */
  get size(): number {
    const size = new Int32Array(1);
    const { ompi_mpi_comm_world } = this.#symbols;
    this.#check(this.#symbols.MPI_Comm_size(ompi_mpi_comm_world, size));
    return size[0];
  }

  /** The machine's name, as MPI knows it. */
  get host(): string {
    return text((to, length) => {
      this.#check(this.#symbols.MPI_Get_processor_name(to, length));
    });
  }

  /** Adds up what all ranks have, in place. */
  async allReduceSum(values: Float32Array<ArrayBuffer>): Promise<void> {
    const { ompi_mpi_comm_world, ompi_mpi_float, ompi_mpi_op_sum } =
      this.#symbols;
    this.#inUse = [values];
    this.#check(
      await this.#symbols.MPI_Allreduce(
        this.#inPlace,
        values,
        values.length,
        ompi_mpi_float,
        ompi_mpi_op_sum,
        ompi_mpi_comm_world,
      ),
    );
  }

  /** Gives every rank the bytes of one, in place. */
  async broadcast(
    bytes: Uint8Array<ArrayBuffer>,
    root: number,
  ): Promise<void> {
    const { ompi_mpi_comm_world, ompi_mpi_byte } = this.#symbols;
    this.#inUse = [bytes];
    this.#check(
      await this.#symbols.MPI_Bcast(
        bytes,
        bytes.length,
        ompi_mpi_byte,
        root,
        ompi_mpi_comm_world,
      ),
    );
  }

  /** Gives every rank the bytes of all, one after the other. */
  async allGather(
    own: Uint8Array<ArrayBuffer>,
    all: Uint8Array<ArrayBuffer>,
  ): Promise<void> {
    const { ompi_mpi_comm_world, ompi_mpi_byte } = this.#symbols;
    this.#inUse = [own, all];
    this.#check(
      await this.#symbols.MPI_Allgather(
        own,
        own.length,
        ompi_mpi_byte,
        all,
        own.length,
        ompi_mpi_byte,
        ompi_mpi_comm_world,
      ),
    );
  }

  /** Waits for all ranks. */
  async barrier(): Promise<void> {
    const { ompi_mpi_comm_world } = this.#symbols;
    this.#check(await this.#symbols.MPI_Barrier(ompi_mpi_comm_world));
  }

  /** Ends every rank; may come back before this one is ended. */
  abort(code: number): void {
    this.#symbols.MPI_Abort(this.#symbols.ompi_mpi_comm_world, code);
  }

  /** Leaves the ranks; nothing may be called afterwards. */
  async finish(): Promise<void> {
    this.#check(await this.#symbols.MPI_Finalize());
  }

  #check(code: number): void {
    this.#inUse = [];
    if (code === 0) return;
    const message = text((to, length) => {
      this.#symbols.MPI_Error_string(code, to, length);
    });
    throw new MasterWeaverError("distributed", `MPI failed: ${message}`);
  }
}

/**
 * Settings of Open MPI that hold unless the environment has others; read when it
 * starts.
 *
 * A sum's order, and with it its last bits, is the algorithm's, which Open MPI
 * chooses by sizes, versions and modules. A ring's depends on the number of ranks
 * and of elements alone, and no other algorithm moves fewer bytes. A rank that
 * waits lets other threads have its core: Deno has several.
 */
function setDefaults(): void {
  const defaults = {
    coll: "^han,hcoll,ucc,adapt,sm",
    coll_tuned_use_dynamic_rules: "1",
    coll_tuned_allreduce_algorithm: "4",
    mpi_yield_when_idle: "1",
  };
  for (const [name, value] of Object.entries(defaults)) {
    const variable = `OMPI_MCA_${name}`;
    if (!Deno.env.has(variable)) Deno.env.set(variable, value);
  }
}

/** What a library says of itself; nothing where there is no such library. */
function versionOf(path: string): string | undefined {
  try {
    const library = Deno.dlopen(path, VERSION);
    try {
      return text((to, length) => {
        library.symbols.MPI_Get_library_version(to, length);
      }, 2 ** 14);
    } finally {
      library.close();
    }
  } catch (error) {
    // A missing permission is no missing library.
    if (error instanceof Deno.errors.NotCapable) throw error;
    return undefined;
  }
}

/** A text that a call of MPI writes. */
function text(
  write: (
    to: Uint8Array<ArrayBuffer>,
    length: Int32Array<ArrayBuffer>,
  ) => void,
  most = TEXT_BYTES,
): string {
  const to = new Uint8Array(most), length = new Int32Array(1);
  write(to, length);
  return new TextDecoder().decode(to.subarray(0, length[0]))
    .replace(/[\0\s]+$/, "");
}
