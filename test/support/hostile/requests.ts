/**
 * A good request of every method, into which the tests put what is hostile.
 * None changes anything that lasts, whatever stands in its other fields: those
 * that would, name things that are not there.
 */
import { type DescMethod, fromJson, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { descriptors } from '../../../lib/rpc/descriptors.js';
import { PASSWORD } from '../control-plane.js';
import { shortName } from './targets.js';

/** A well-formed id of nothing. */
export const UNKNOWN_ID = 'nothinghasthisid';

/** What the requests name. */
export interface Names {
  /** A running sandbox. */
  sandboxId: string;
  /** A process in it that has ended. */
  processId: string;
  /** Address of a user. */
  email: string;
}

/** Where the requests write, in a sandbox. */
export const FOLDER = '/tmp/hostile';

const template = 'no-such-template';

function publicRequests({ sandboxId, processId, email }: Names): Record<string, JsonObject> {
  const box = { sandboxId };
  const unknown = { sandboxId: UNKNOWN_ID };
  const program = { ...box, processId };
  return {
    'AuthService.SignUp': { email, password: PASSWORD },
    'AuthService.LogIn': { email: 'nobody@example.com', password: PASSWORD },
    'AuthService.GetMe': {},
    'ApiKeyService.CreateApiKey': {},
    'ApiKeyService.ListApiKeys': {},
    'ApiKeyService.DeleteApiKey': { apiKeyId: UNKNOWN_ID },
    'SandboxService.CreateSandbox': { template },
    'SandboxService.GetSandbox': box,
    'SandboxService.ListSandboxes': {},
    'SandboxService.DeleteSandbox': unknown,
    'SandboxService.PingSandbox': box,
    'SandboxService.PauseSandbox': unknown,
    'SandboxService.ResumeSandbox': box,
    'SandboxService.SetSandboxTimeout': box,
    'SandboxService.ForkSandbox': unknown,
    'SandboxService.ListGenerations': box,
    'SandboxService.VerifyGeneration': box,
    'SnapshotService.CreateSnapshot': unknown,
    'SnapshotService.GetSnapshot': { snapshotId: UNKNOWN_ID },
    'SnapshotService.ListSnapshots': {},
    'SnapshotService.DeleteSnapshot': { snapshotId: UNKNOWN_ID },
    'ProcessService.Exec': { ...box, cmd: 'true' },
    'ProcessService.ExecStream': { ...box, start: { cmd: 'true' } },
    'ProcessService.Start': { ...box, process: { cmd: 'true' } },
    'ProcessService.Attach': program,
    'ProcessService.ListProcesses': box,
    'ProcessService.SendSignal': { ...program, signal: 'SIGNAL_CONT' },
    'ProcessService.SendInput': program,
    'ProcessService.CloseStdin': program,
    ...fileRequests(box),
  };
}

function fileRequests(box: JsonObject): Record<string, JsonObject> {
  const path = `${FOLDER}/file`;
  return {
    'FileService.WriteFile': { ...box, path },
    'FileService.ReadFile': { ...box, path },
    'FileService.StreamWriteFile': { ...box, path },
    'FileService.StreamReadFile': { ...box, path },
    'FileService.Stat': { ...box, path },
    'FileService.ListDir': { ...box, path: FOLDER },
    'FileService.MakeDir': { ...box, path: FOLDER },
    'FileService.Move': { ...box, source: path, destination: path },
    'FileService.Remove': { ...box, path: `${FOLDER}/gone` },
    'FileService.WatchDir': { ...box, path: FOLDER },
  };
}

/** The same for an agent, whose other methods are those of the public services, message for message. */
function agentRequests(names: Names): Record<string, JsonObject> {
  const box = { sandboxId: names.sandboxId };
  const unknown = { sandboxId: UNKNOWN_ID };
  const publicOnes = Object.entries(publicRequests(names))
    .filter(([name]) => /^(?:Process|File)Service/.test(name))
    .map(([name, json]) => [name.replace(/^\w+\./, 'HostAgentService.'), json]);
  return {
    ...Object.fromEntries(publicOnes),
    'HostAgentService.GetHost': {},
    'HostAgentService.CreateSandbox': { ...unknown, template, vcpus: 1, memoryMb: 512 },
    'HostAgentService.DestroySandbox': unknown,
    'HostAgentService.ListSandboxes': {},
    'HostAgentService.WatchChanges': {},
    'HostAgentService.PingSandbox': box,
    'HostAgentService.PauseSandbox': unknown,
    'HostAgentService.ResumeSandbox': { ...unknown, generation: 1 },
    'HostAgentService.SetSandboxTimeout': box,
    'HostAgentService.CreateSnapshot': { ...unknown, snapshotId: UNKNOWN_ID, name: 'name' },
    'HostAgentService.DeleteSnapshot': { snapshotId: UNKNOWN_ID },
    'HostAgentService.ForkSandbox': { ...unknown, childIds: [UNKNOWN_ID] },
    'HostAgentService.ListGenerations': box,
    'HostAgentService.VerifyGeneration': box,
    'HostAgentService.Exec': { ...box, cmd: 'true', timeoutSec: 30 },
    'HostAgentService.WriteFile': { ...box, path: `${FOLDER}/file` },
    'HostAgentService.ReadFile': { ...box, path: `${FOLDER}/file` },
  };
}

export interface GoodRequest {
  json: JsonObject;
  bytes: Buffer;
}

const MADE = new WeakMap<Names, Map<DescMethod, GoodRequest>>();

/** @throws Error for a method that has none. */
export function goodRequest(method: DescMethod, names: Names): GoodRequest {
  const made = MADE.get(names) ?? new Map<DescMethod, GoodRequest>();
  MADE.set(names, made);
  const request = made.get(method) ?? make(method, names);
  made.set(method, request);
  return request;
}

function make(method: DescMethod, names: Names): GoodRequest {
  const isPublic = method.parent.file.proto.package === 'wrenn.v1';
  const json = (isPublic ? publicRequests(names) : agentRequests(names))[shortName(method)];
  if (!json) throw new Error(`${shortName(method)} has no request here`);
  const { registry } = descriptors();
  return {
    json,
    bytes: Buffer.from(toBinary(method.input, fromJson(method.input, json, { registry }))),
  };
}
