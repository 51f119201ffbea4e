/**
 * What a site's visitor can do where its host has not what it should have. Only
 * its owner can build it again.
 *
 * @module
 */

/** Where the host answers that it has not got it. */
export const ASK_OWNER: string = "try again later, or tell the site's owner";

/** Where the host sends something else, which may be a network's page to sign in. */
export const SIGN_IN: string =
  "sign in to the network where it wants that, then try again, or tell the site's owner";
