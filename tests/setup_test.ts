/**
 * The set-up script's decisions, on made-up machines: nothing is installed.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { repositoryPath } from "./support/paths.ts";

const script = repositoryPath("tools/setup.sh");
const windows = Deno.build.os === "windows";

/** Runs shell text; `root` takes the place of the machine's own `/`. */
async function shell(text: string, root = "") {
  const { code, stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", text],
    env: { SETUP_ROOT: root },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

/** Runs shell text that may call the script's functions. */
const inScript = (text: string, root = "") =>
  shell(`SETUP_SOURCED=yes; . ${JSON.stringify(script)}; ${text}`, root);

/** A machine with these files, gone afterwards. */
async function onMachine(
  files: Readonly<Record<string, string>>,
  work: (root: string) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    for (const [path, text] of Object.entries(files)) {
      const full = `${root}/${path}`;
      await Deno.mkdir(full.slice(0, full.lastIndexOf("/")), {
        recursive: true,
      });
      await Deno.writeTextFile(full, text);
    }
    await work(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

const bookworm = {
  "etc/os-release": 'ID=debian\nVERSION_CODENAME="bookworm"\n',
};

function setupTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: `setup: ${name}`, ignore: windows, fn });
}

setupTest("is plain POSIX shell", async () => {
  const { code, err } = await shell(`sh -n ${JSON.stringify(script)}`);
  assertEquals([code, err], [0, ""]);
});

setupTest("--help says what it does, another word is refused", async () => {
  const help = await shell(`sh ${JSON.stringify(script)} --help`);
  assertEquals(help.code, 0);
  assertMatch(help.out, /--with-landmarks/);
  const wrong = await shell(`sh ${JSON.stringify(script)} --upgrade`);
  assertEquals([wrong.code, wrong.out], [2, ""]);
  assertMatch(wrong.err, /Unknown option --upgrade/);
});

setupTest("--check passes where these tests run", async () => {
  const { code, err } = await shell(`sh ${JSON.stringify(script)} --check`);
  assertEquals(code, 0, err);
});

setupTest("versions are compared as numbers", async () => {
  const pairs: [string, string, boolean][] = [
    ["2.9.6", "2.9.6", true],
    ["2.10.0", "2.9.6", true],
    ["3.0.0", "2.9.6", true],
    ["2.9.5", "2.9.6", false],
    ["1.46.3", "2.9.6", false],
  ];
  for (const [have, want, enough] of pairs) {
    const { code } = await inScript(`at_least ${have} ${want}`);
    assertEquals(code === 0, enough, `${have} for ${want}`);
  }
});

setupTest("the mirror is the one of the machine's own sources", async () => {
  await onMachine({
    ...bookworm,
    "etc/apt/sources.list.d/debian.sources": "Types: deb\n" +
      "URIs: https://mirror.example/security\nSuites: bookworm-security\n\n" +
      "Types: deb\nURIs: https://mirror.example/debian\n" +
      "Suites: bookworm bookworm-updates\nComponents: main\n",
  }, async (root) => {
    const { out } = await inScript("mirror bookworm", root);
    assertEquals(out, "https://mirror.example/debian\n");
  });
  await onMachine({
    ...bookworm,
    "etc/apt/sources.list":
      "deb [trusted=yes] https://old.example/debian bookworm main\n",
  }, async (root) => {
    const { out } = await inScript("mirror bookworm", root);
    assertEquals(out, "https://old.example/debian\n");
  });
  await onMachine(bookworm, async (root) => {
    assertEquals((await inScript("mirror bookworm", root)).out, "");
  });
});

setupTest("a render node counts as a GPU", async () => {
  const hidden = "has() { return 1; };";
  await onMachine({ "dev/dri/renderD128": "" }, async (root) => {
    assertEquals((await inScript(`${hidden} has_gpu`, root)).code, 0);
  });
  await onMachine({ "dev/dri/card0": "" }, async (root) => {
    assertEquals((await inScript(`${hidden} has_gpu`, root)).code, 1);
  });
});

setupTest("where it cannot install a driver it says what to do", async () => {
  await onMachine({ "etc/os-release": "ID=fedora\n" }, async (root) => {
    const { code, err } = await inScript(
      "has_gpu() { return 1; }; set_up_vulkan",
      root,
    );
    assertEquals(code, 0);
    assertMatch(err, /Fedora: dnf install vulkan-loader/);
  });
});

setupTest("--check counts what lacks and installs nothing", async () => {
  await onMachine(bookworm, async (root) => {
    const { code, err } = await inScript(
      "has_gpu() { return 1; }; package_version() { :; };" +
        "apt_install() { echo installed; }; check_only=yes;" +
        "set_up_vulkan; [ $lacking -eq 1 ]",
      root,
    );
    assertEquals(code, 0);
    assertMatch(err, /Missing: a software Vulkan driver/);
    assert(!err.includes("installed"));
  });
});

/** What is installed only where it is asked for. */
const programs = [
  {
    name: "mpi",
    package: "openmpi-bin",
    missing: /Missing: Open MPI/,
    elsewhere: /Fedora: openmpi/,
  },
  {
    name: "chromium",
    package: "chromium",
    missing: /Missing: Chromium/,
    elsewhere: /install Chromium or Chrome/,
  },
  {
    name: "redis",
    package: "redis-server",
    missing: /Missing: Redis/,
    elsewhere: /install redis or valkey/,
  },
  {
    name: "npm",
    package: "npm",
    missing: /Missing: npm/,
    elsewhere: /install Node\.js/,
  },
  {
    name: "python",
    found: "has_venv",
    package: "python3-venv",
    missing: /Missing: Python's venv/,
    elsewhere: /install Python 3 with venv/,
  },
];

for (const program of programs) {
  const { name, found = `has_${name}`, missing, elsewhere } = program;
  setupTest(`installs ${program.package} where it is missing`, async () => {
    const faked = 'apt_install() { echo "install $*"; };';
    const none = `${faked} ${found}() { return 1; };`;
    await onMachine(bookworm, async (root) => {
      const fresh = await inScript(`${none} set_up_${name}`, root);
      assertEquals(fresh.out, `install ${program.package}\n`);
      const there = await inScript(
        `${faked} ${found}() { :; }; set_up_${name}`,
        root,
      );
      assertEquals([there.code, there.out], [0, ""]);
      const checked = await inScript(
        `${none} check_only=yes; set_up_${name}; [ $lacking -eq 1 ]`,
        root,
      );
      assertEquals([checked.code, checked.out], [0, ""]);
      assertMatch(checked.err, missing);
    });
    await onMachine({ "etc/os-release": "ID=fedora\n" }, async (root) => {
      const { code, err } = await inScript(`${none} set_up_${name}`, root);
      assertEquals(code, 1);
      assertMatch(err, elsewhere);
    });
  });
}

setupTest("Debian 12 gets Mesa from backports, or its own", async () => {
  const faked = "has_gpu() { return 1; }; package_version() { :; };" +
    'apt_install() { echo "install $*"; };';
  await onMachine(bookworm, async (root) => {
    const found = await inScript(
      `${faked} enable_backports() { :; }; set_up_vulkan`,
      root,
    );
    assertEquals(
      found.out,
      "install -t bookworm-backports libvulkan1 mesa-vulkan-drivers\n",
    );
    const none = await inScript(
      `${faked} enable_backports() { return 1; }; set_up_vulkan`,
      root,
    );
    assertEquals(none.out, "install libvulkan1 mesa-vulkan-drivers\n");
    assertMatch(none.err, /7 to 10 times slower/);
  });
});
