/**
 * Lets scripts be started from the page's own folder, and from nowhere else:
 * the page's policy wants each of them vouched for.
 *
 * @module
 */

/** The part of the browser's Trusted Types that is used. */
interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { createScriptURL(url: string): string },
  ): unknown;
}

/** Vouches for the page's own scripts, in browsers that ask. */
export function allowOwnScripts(): void {
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };
  const folder = new URL(".", document.baseURI).href;
  trustedTypes?.createPolicy("default", {
    createScriptURL: (url) => {
      if (new URL(url, document.baseURI).href.startsWith(folder)) return url;
      throw new TypeError(`${url} is no script of this page`);
    },
  });
}
