/**
 * Gives up a host that sends nothing any more: browsers wait for minutes, or for
 * ever.
 *
 * @module
 */

/**
 * Milliseconds without a byte after which an attempt is given up; the last of
 * four fails about a minute after the last byte.
 */
export const SILENCE: number = 15_000;

/** Waits for something that a host sends, and gives it up where it sends nothing for too long. */
export async function unlessSilent<T>(
  coming: Promise<T>,
  silence: number,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silent = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`the host sends nothing for ${silence / 1000} s`)),
      silence,
    );
  });
  try {
    return await Promise.race([coming, silent]);
  } finally {
    clearTimeout(timer);
  }
}
