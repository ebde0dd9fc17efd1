/** Which driver and accelerator a host uses, and why, as `wrenn doctor` prints it. */
import { inspectKvm, type KvmInspection, type KvmVerdict } from './kvm.js';

export interface DriverChoice {
  name: 'qemu' | 'fake';
  accelerator: 'kvm' | 'tcg' | 'none';
  /** One sentence without a full stop. */
  reason: string;
}

/** Chooses for a setting; `auto` and `qemu` take KVM where it is usable, and emulation elsewhere. */
export async function chooseDriver(
  setting: 'auto' | 'qemu' | 'fake',
  inspection: KvmInspection,
): Promise<DriverChoice> {
  if (setting === 'fake') return { name: 'fake', accelerator: 'none', reason: 'it was asked for' };
  return qemuWith(await inspectKvm(inspection));
}

function qemuWith(kvm: KvmVerdict): DriverChoice {
  return kvm.usable
    ? { name: 'qemu', accelerator: 'kvm', reason: `KVM is usable: ${kvm.reason}` }
    : {
        name: 'qemu',
        accelerator: 'tcg',
        reason: `software emulation, since KVM is not usable: ${kvm.reason}`,
      };
}
