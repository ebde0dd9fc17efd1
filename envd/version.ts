/** Version of the guest daemon, the same as that of the package; a test holds them together. */
export const ENVD_VERSION = '0.1.0';
