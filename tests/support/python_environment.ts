/**
 * Virtual environments of Python with packages that a test needs. They are kept
 * in the user's cache folder, so only the first run installs anything.
 *
 * @module
 */
import { sha256 } from "../../src/base/sha256.ts";
import { userCacheFolder } from "../../src/host/cache.ts";
import { runProgram } from "./program.ts";
import { makeWholeFolder } from "./whole_folder.ts";

/** How long an installation may take, in milliseconds. */
const INSTALL_TIME = 240_000;
const inCi = Boolean(Deno.env.get("CI"));

/** Python with some packages, or why there is none. */
export class PythonEnvironment {
  readonly #python: string;
  readonly #missing: string | undefined;

  private constructor(python: string, missing?: string) {
    this.#python = python;
    this.#missing = missing;
  }

  /**
   * Finds an environment that was made before, or makes it.
   *
   * @param packages with their versions, such as `openai==3.57.0`
   */
  static async with(...packages: string[]): Promise<PythonEnvironment> {
    const found = await environment(packages);
    if ("python" in found) return new PythonEnvironment(found.python);
    console.warn(
      `${found.missing}: tests of ${
        packages.join(" and ")
      } are skipped. \`sh tools/setup.sh --with-tests\` installs Python.`,
    );
    return new PythonEnvironment("", found.missing);
  }

  /**
   * Registers a test that needs the environment. Without it, it is reported as
   * skipped, by its name; in CI it fails instead.
   */
  test(name: string, fn: () => Promise<void>): void {
    Deno.test({
      name,
      ignore: this.#missing !== undefined && !inCi,
      fn: () => {
        if (this.#missing !== undefined) throw new Error(this.#missing);
        return fn();
      },
    });
  }

  /**
   * Runs a script for at most 30 seconds.
   *
   * @returns what it wrote to its standard output
   * @throws what it wrote to its standard error, where it failed
   */
  async run(script: string, ...args: string[]): Promise<string> {
    return await this.runIn(undefined, 30_000, script, ...args);
  }

  /**
   * Runs a script in a folder, for some milliseconds at most; see {@linkcode run}.
   *
   * @throws what it wrote, where it failed
   */
  async runIn(
    folder: string | undefined,
    time: number,
    script: string,
    ...args: string[]
  ): Promise<string> {
    const { code, out, err } = await runProgram(
      this.#python,
      ["-I", script, ...args],
      time,
      folder,
    );
    if (code !== 0) throw new Error(`Exit code ${code}: ${err || out}`);
    return out;
  }
}

async function environment(
  packages: readonly string[],
): Promise<{ readonly python: string } | { readonly missing: string }> {
  const base = await runProgram("python3", [
    "-c",
    "import venv, ensurepip, sys; print(sys.version, sys.executable)",
  ], 20_000);
  if (base.code !== 0) return { missing: "No Python 3 with venv" };
  const key = await sha256([base.out, ...packages].join("\n"));
  const folder = `${userCacheFolder()}/test-python-${key.slice(0, 16)}`;
  const python = `${folder}/bin/python`;
  if ((await runProgram(python, ["-c", ""], 20_000)).code === 0) {
    return { python };
  }
  const fault = await makeWholeFolder(
    folder,
    python,
    (draft) => install(draft, packages),
  );
  return fault === undefined ? { python } : { missing: fault };
}

/** Makes an environment; returns why it could not. */
async function install(
  draft: string,
  packages: readonly string[],
): Promise<string | undefined> {
  const steps: [string, string[]][] = [
    ["python3", ["-m", "venv", draft]],
    [`${draft}/bin/python`, [
      ...["-m", "pip", "install", "--quiet", "--no-input"],
      ...["--disable-pip-version-check", ...packages],
    ]],
  ];
  for (const [command, args] of steps) {
    const { code, err } = await runProgram(command, args, INSTALL_TIME);
    if (code !== 0) {
      const last = err.trim().split("\n").at(-1);
      return `${packages.join(" and ")} cannot be installed: ${last}`;
    }
  }
}
