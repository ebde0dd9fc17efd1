/** The command line of every guest's kernel, the same for each VMM driver. */

export interface KernelArgumentOptions {
  /** Rate of the host's time stamp counter in kHz, as `native/host/build/tsc-khz` measures it. */
  tscKhz: number;
  /** Address of the guest with its prefix length, such as `169.254.0.21/30`. */
  guestAddress: string;
  /** Address of the guest's default route, which is also its resolver. */
  gatewayAddress: string;
}

const CONSOLE = [
  'console=ttyS0',
  'quiet',
  // Errors of the kernel stay visible.
  'loglevel=4',
];

/** The guest ends by a reset (a triple fault, which needs no ACPI), and so does a kernel panic. */
const ENDING = ['reboot=t', 'panic=-1'];

const STARTING = [
  // The init of the initial RAM disk; it hands over to wrenn-init.sh.
  'rdinit=/init',
  // The network device is eth0, whatever the distribution calls its own.
  'net.ifnames=0',
];

/**
 * Under emulation each of these saves a tenth of a second of boot or more. The self-tests would
 * check ciphers that do not change from boot to boot; memory of the kernel is handed out unwiped,
 * which only matters between the processes of one sandbox.
 */
const BOOT_SPEED = ['cryptomgr.notests', 'init_on_alloc=0'];

/** Words on the kernel command line that images/wrenn-init.sh reads. */
export const GUEST_ADDRESS_ARGUMENT = 'wrenn.ip';
export const GATEWAY_ADDRESS_ARGUMENT = 'wrenn.gateway';

/** Builds the command line; the values are trusted, they come from the host agent itself. */
export function kernelArguments(options: KernelArgumentOptions): string {
  return [
    ...CONSOLE,
    ...ENDING,
    ...STARTING,
    ...BOOT_SPEED,
    // A noisy or nested host lets the kernel's own calibration and its timer check fail; it then
    // hangs before it prints a line.
    `tsc_early_khz=${options.tscKhz}`,
    'no_timer_check',
    // The kernel would go on to check the counter against timer ticks, which a stalled host loses.
    'tsc=reliable',
    `${GUEST_ADDRESS_ARGUMENT}=${options.guestAddress}`,
    `${GATEWAY_ADDRESS_ARGUMENT}=${options.gatewayAddress}`,
  ].join(' ');
}
