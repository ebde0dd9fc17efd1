/** The parts of a host that runs virtual machines with QEMU. */
import { setImageReferences } from '../../lib/images/image-references.js';
import { type ImageManifest, readManifest } from '../../lib/images/manifest.js';
import type { Log } from '../../lib/log/log.js';
import type { AgentConfig } from '../config.js';
import { requireHost } from '../doctor/require-host.js';
import { type Instance, saveInstance } from '../instance.js';
import { createMemoryProvider } from '../memory/lazy-provider.js';
import { createNetwork } from '../network/host-network.js';
import type { Network } from '../network/network.js';
import { createQcow2Provider } from '../rootfs/qcow2.js';
import type { TemplateCatalog } from '../sandbox/template-catalog.js';
import { disksFolder } from '../state-folders.js';
import { chooseDriver } from '../vmm/choose-driver.js';
import type { VmmDriver } from '../vmm/driver.js';
import { createQemuDriver } from '../vmm/qemu/driver.js';
import { readTscKhz } from '../vmm/tsc.js';
import type { HostParts } from './host-parts.js';

/** @throws WrennError HOST_REQUIREMENT that says what the machine lacks. */
export async function qemuParts(
  config: AgentConfig,
  instance: Instance,
  log: Log,
): Promise<HostParts> {
  await requireHost(config);
  const manifest = await readManifest(config.imagesDirectory);
  const driver = await openDriver(config, instance, manifest, log);
  const network = await openNetwork(config, instance, log);
  return {
    driver,
    network,
    rootfs: createQcow2Provider({ folder: disksFolder(config.stateDirectory), log }),
    memory: createMemoryProvider(),
    templates: catalogOf(manifest),
    markImages: (paths) => setImageReferences(config.imagesDirectory, instance.instanceId, paths),
  };
}

async function openDriver(
  config: AgentConfig,
  { instanceId }: Instance,
  manifest: ImageManifest,
  log: Log,
): Promise<VmmDriver> {
  const { stateDirectory, runDirectory, imagesDirectory } = config;
  const tscKhz = await readTscKhz(stateDirectory);
  const choice = await chooseDriver('qemu', {
    stateDirectory,
    kernelPath: manifest.kernel.path,
    tscKhz,
  });
  log.info('driver chosen', {
    driver: choice.name,
    accelerator: choice.accelerator,
    reason: choice.reason,
  });
  return createQemuDriver({
    instanceId,
    accelerator: choice.accelerator === 'kvm' ? 'kvm' : 'tcg',
    tscKhz,
    hiddenDirectories: [stateDirectory, runDirectory],
    imagesDirectory,
    log,
  });
}

/** A range that was chosen once stays the instance's, so that an adopted sandbox keeps its address. */
async function openNetwork(config: AgentConfig, instance: Instance, log: Log): Promise<Network> {
  const network = await createNetwork({
    instanceId: instance.instanceId,
    range: config.networkCidr ?? instance.networkCidr,
    poolSize: config.networkPoolSize,
    log,
  });
  try {
    if (network.range !== instance.networkCidr) {
      await saveInstance(config.stateDirectory, { ...instance, networkCidr: network.range });
    }
    return network;
  } catch (error) {
    await network.close();
    throw error;
  }
}

function catalogOf({ kernel, initrd, tools, templates }: ImageManifest): TemplateCatalog {
  return {
    names: () => Object.keys(templates),
    find: (name) => {
      const template = Object.hasOwn(templates, name) ? templates[name] : undefined;
      return (
        template && {
          rootfsPath: template.path,
          kernel: { path: kernel.path, initrdPath: initrd.path },
          toolsPath: tools.path,
        }
      );
    },
  };
}
