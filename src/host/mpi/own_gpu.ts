/**
 * A GPU of its own for each rank of a machine.
 *
 * WebGPU has no index of adapters. On Linux, Mesa's device-select layer, which
 * comes with `mesa-vulkan-drivers` and orders the GPUs of every vendor, puts that
 * one first which `DRI_PRIME` names by its place on the PCI bus.
 *
 * @module
 */

/** What the layer reads when a device is first asked for. */
const VARIABLE = "DRI_PRIME";
/** Which of its machine's ranks a process is, as Open MPI says. */
const LOCAL_RANK = "OMPI_COMM_WORLD_LOCAL_RANK";
/** The PCI class of display controllers, its highest byte. */
const DISPLAY = 0x03;

/**
 * Lets this rank find its own GPU first, where its machine has several and nobody
 * has chosen one. Must come before the first GPU is opened.
 *
 * @returns the GPU's name, such as `pci-0000_65_00_0`; undefined where nothing was chosen
 */
export function useOwnGpu(): string | undefined {
  const rank = Number(Deno.env.get(LOCAL_RANK));
  if (!Number.isInteger(rank) || Deno.env.has(VARIABLE)) return undefined;
  const gpu = ownGpu(rank);
  if (gpu !== undefined) Deno.env.set(VARIABLE, gpu);
  return gpu;
}

/**
 * The name of a rank's GPU: ranks take a machine's GPUs in turn.
 *
 * @param localRank which of its machine's ranks it is, from 0
 * @param root the folder of PCI devices
 * @returns undefined where there are not several GPUs, or no such folder
 */
export function ownGpu(
  localRank: number,
  root = "/sys/bus/pci/devices",
): string | undefined {
  const gpus = devices(root).filter((device) => isDisplay(`${root}/${device}`))
    .sort();
  if (gpus.length < 2) return undefined;
  return `pci-${gpus[localRank % gpus.length].replace(/[:.]/g, "_")}`;
}

function devices(root: string): string[] {
  try {
    return [...Deno.readDirSync(root)].map(({ name }) => name);
  } catch {
    return [];
  }
}

function isDisplay(device: string): boolean {
  try {
    const number = Number(Deno.readTextFileSync(`${device}/class`).trim());
    return number >>> 16 === DISPLAY;
  } catch {
    return false;
  }
}
