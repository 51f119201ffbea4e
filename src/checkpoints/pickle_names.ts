/**
 * What the names of Python code in a pickle stand for. None is ever looked up
 * or run: a name is known as data, ignored as inert, or refused.
 *
 * @module
 */
import type { CheckpointDtype } from "./checkpoint.ts";
import {
  type GlobalMeaning,
  PickleGlobal,
  SPARSE_TENSOR,
} from "./pickle_values.ts";

const STORAGES: Readonly<Record<string, CheckpointDtype>> = {
  FloatStorage: "F32",
  DoubleStorage: "F64",
  HalfStorage: "F16",
  BFloat16Storage: "BF16",
  LongStorage: "I64",
  IntStorage: "I32",
  ShortStorage: "I16",
  CharStorage: "I8",
  ByteStorage: "U8",
  BoolStorage: "BOOL",
};

/** `torch.dtype`s, by PyTorch's names; null for those that are not supported. */
const DTYPES: Readonly<Record<string, CheckpointDtype | null>> = {
  float32: "F32",
  float64: "F64",
  float16: "F16",
  bfloat16: "BF16",
  float8_e4m3fn: "F8_E4M3",
  float8_e5m2: "F8_E5M2",
  int64: "I64",
  int32: "I32",
  int16: "I16",
  int8: "I8",
  uint64: "U64",
  uint32: "U32",
  uint16: "U16",
  uint8: "U8",
  bool: "BOOL",
  float8_e4m3fnuz: null,
  float8_e5m2fnuz: null,
  float8_e8m0fnu: null,
  float4_e2m1fn_x2: null,
  complex32: null,
  complex64: null,
  complex128: null,
  qint8: null,
  quint8: null,
  qint32: null,
  quint4x2: null,
  quint2x4: null,
};

const KNOWN: Readonly<Record<string, GlobalMeaning>> = {
  "collections.OrderedDict": "dict",
  "collections.defaultdict": "factory-dict",
  "collections.Counter": "dict",
  "builtins.dict": "dict",
  "collections.deque": "list",
  "builtins.list": "list",
  "builtins.tuple": "list",
  "builtins.set": "list",
  "builtins.frozenset": "list",
  "torch.Size": "list",
  "argparse.Namespace": "namespace",
  "types.SimpleNamespace": "namespace",
  "optparse.Values": "namespace",
  // Its parameters are attributes by PyTorch 1.11, as embeddings were saved with.
  "torch.nn.modules.container.ParameterDict": "namespace",
  "copyreg._reconstructor": "reconstruct",
  "torch._utils._rebuild_tensor": "tensor",
  "torch._utils._rebuild_tensor_v2": "tensor",
  "torch._utils._rebuild_tensor_v3": "typed-tensor",
  "torch._utils._rebuild_parameter": "parameter",
  "torch._utils._rebuild_parameter_with_state": "parameter",
  "torch._tensor._rebuild_from_type_v2": "subclass",
  "torch._utils._rebuild_sparse_tensor": { inert: SPARSE_TENSOR },
  "torch._utils._rebuild_sparse_csr_tensor": { inert: SPARSE_TENSOR },
  "torch.storage.UntypedStorage": { storage: "untyped" },
};

/**
 * Functions of PyTorch and NumPy whose results are harmless and not needed:
 * numbers, arrays and random states, devices and layouts.
 */
const IGNORED = new RegExp(
  "^(" + [
    "numpy\\.(core|_core)\\.multiarray\\.(scalar|_reconstruct)",
    "numpy\\.(core|_core)\\.numeric\\._frombuffer",
    "numpy\\.random\\.(_pickle\\.)?__\\w+_ctor",
    "numpy\\.random\\.bit_generator\\.(__pyx_unpickle_)?\\w*SeedSequence",
    "numpy\\.(dtype|ndarray|matrix|bool|bool_|str_|bytes_|object_|void)",
    "numpy\\.(u?int|float|complex|datetime|timedelta)\\d+",
    "_codecs\\.encode",
    "torch\\.(device|strided|sparse_coo|serialization\\._get_layout)",
    "torch\\.(preserve|contiguous)_format",
  ].join("|") + ")$",
);

/**
 * Modules of Python that reach files, the network, other programs or Python's
 * internals. No training program saves their objects; a pickle that names them
 * is an attack, or not a checkpoint.
 */
const DANGEROUS: ReadonlySet<string> = new Set(
  ("ast asyncio asyncore atexit bdb cProfile cgi code codeop commands compileall " +
    "concurrent contextlib ctypes dbm dis distutils doctest ensurepip faulthandler " +
    "ftplib gc glob http imaplib imp importlib inspect io linecache " +
    "mailbox marshal mmap multiprocessing nntplib nt ntpath operator " +
    "os pdb pickle pickletools pip pipes pkgutil platform poplib posix posixpath " +
    "pstats pty pydoc requests resource rlcompleter runpy sched select " +
    "selectors setuptools shelve shlex shutil signal site smtplib socket " +
    "socketserver sqlite3 ssl subprocess sys sysconfig tarfile telnetlib tempfile " +
    "threading timeit tokenize trace traceback tty unittest urllib " +
    "urllib2 venv webbrowser winreg xmlrpc zipapp zipfile zipimport " +
    "_io _osx_support _pickle _posixsubprocess _socket _thread _winapi")
    .split(" "),
);

/** Dangerous functions of `builtins`. */
const DANGEROUS_BUILTINS =
  /^(eval|exec|execfile|compile|open|file|input|raw_input|apply|reload|__import__|breakpoint|exit|quit|globals|locals|vars|setattr|delattr|memoryview|help)$/;

/**
 * What a global of a pickle stands for.
 *
 * @param module such as `collections`
 * @param name such as `OrderedDict`
 * @returns undefined where it is refused
 */
export function knownGlobal(
  module: string,
  name: string,
): PickleGlobal | undefined {
  // Python 2's names of the same modules.
  const place = module.replace(/^__builtin__$/, "builtins")
    .replace(/^copy_reg$/, "copyreg");
  const full = `${place}.${name}`;
  if (Object.hasOwn(KNOWN, full)) return new PickleGlobal(KNOWN[full]);
  if (IGNORED.test(full)) return new PickleGlobal("ignored");
  const torch = /^torch\.(?:cuda\.)?(\w+)$/.exec(full)?.[1];
  if (torch !== undefined && Object.hasOwn(STORAGES, torch)) {
    return new PickleGlobal({ storage: STORAGES[torch] });
  }
  if (torch !== undefined && Object.hasOwn(DTYPES, torch)) {
    return new PickleGlobal({ dtype: DTYPES[torch], name: torch });
  }
  return isInert(place, full) ? new PickleGlobal({ inert: full }) : undefined;
}

/**
 * Whether a name may be that of an object to ignore: what training programs keep
 * beside the weights, such as configurations and callbacks.
 */
function isInert(module: string, full: string): boolean {
  const root = module.split(".")[0];
  if (DANGEROUS.has(root)) return false;
  const last = full.split(".").at(-1)!;
  if (root === "builtins") return !DANGEROUS_BUILTINS.test(last);
  // Their functions may make or load a tensor out of sight; objects of their
  // classes keep their contents where we can inspect them.
  if (root === "torch" || root === "numpy") return /^_*[A-Z]/.test(last);
  return /^[\w.]+$/.test(full);
}
