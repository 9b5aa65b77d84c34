/** Proxies drop an idle connection, usually after a minute: a stream of server-sent events that has nothing to say sends this comment each time. */
export const KEEP_ALIVE_EVERY_MS = 15_000;
export const STILL_HERE = ': still here\n\n';
