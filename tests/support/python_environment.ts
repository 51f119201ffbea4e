/**
 * Virtual environments of Python with packages that a test needs. They are kept
 * in the user's cache folder, so only the first run installs anything.
 *
 * @module
 */
import { userCacheFolder } from "../../src/host/cache.ts";
import { isThere } from "../../tools/dataset/whole_file.ts";
import { runProgram } from "./program.ts";

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
  const key = await hashOf([base.out, ...packages].join("\n"));
  const folder = `${userCacheFolder()}/test-python-${key}`;
  const python = `${folder}/bin/python`;
  if ((await runProgram(python, ["-c", ""], 20_000)).code === 0) {
    return { python };
  }
  const made = await make(folder, packages);
  return made === undefined ? { python } : { missing: made };
}

/**
 * Makes an environment under another name first, so that none is ever half done.
 *
 * @returns why it could not
 */
async function make(
  folder: string,
  packages: readonly string[],
): Promise<string | undefined> {
  await Deno.mkdir(userCacheFolder(), { recursive: true });
  const draft = `${folder}.${crypto.randomUUID().slice(0, 8)}`;
  try {
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
    await Deno.rename(draft, folder).catch((error) => {
      // Another process was faster; its environment is as good.
      if (!isThere(`${folder}/bin/python`)) throw error;
    });
  } finally {
    await Deno.remove(draft, { recursive: true }).catch(() => {});
  }
}

async function hashOf(text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  const hash = await crypto.subtle.digest("SHA-256", bytes);
  return new Uint8Array(hash).toHex().slice(0, 16);
}
