/** What host and guest daemon agree on beside the messages of wrenn.envd.v1. */

/** Port on which the guest daemon listens. */
export const ENVD_PORT = 49983;

/** Metadata key that carries the sandbox's token. */
export const ENVD_TOKEN_KEY = 'x-envd-token';

/** Largest message in bytes that either side takes: a file, or a command with its input. */
export const ENVD_MESSAGE_BYTES_MAX = 8 * 1024 * 1024;

/** Random bytes that a restored guest gets for its kernel, at least and at most. */
export const ENTROPY_BYTES_MIN = 32;
export const ENTROPY_BYTES_MAX = 512;

/** Form of a machine id, as /etc/machine-id holds it. */
export const MACHINE_ID = /^[0-9a-f]{32}$/;
