/**
 * What `wrenn doctor` prints. The agent makes the part about the host
 * (`node dist/agent/doctor.js --json`), the command line adds its own.
 */
export interface DoctorCheck {
  /** What was looked at, such as `KVM` or `/dev/net/tun`. */
  name: string;
  /** `missing` keeps sandboxes from running; a `note` does not. */
  status: 'ok' | 'note' | 'missing';
  /** What was found, one phrase. */
  found: string;
  /** What to do about it, one sentence; absent when there is nothing to do. */
  advice?: string;
}

export interface DoctorReport {
  /** The VMM driver that will be used, and why. */
  driver: { name: string; accelerator: string; reason: string };
  checks: DoctorCheck[];
}
