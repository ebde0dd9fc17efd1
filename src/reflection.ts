/**
 * gRPC server reflection (v1 and v1alpha) for the public services, so that
 * grpcurl and its like work without proto files.
 *
 * @grpc/reflection is fed the file descriptors that buf wrote: those that
 * proto-loader rebuilds merge and rename files, and then clients cannot resolve
 * well-known types. Only public files and what they import are served; the
 * contracts of host agent and guest stay inside.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { toBinary } from '@bufbuild/protobuf';
import { type FileDescriptorProto, FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type { Server } from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { surviveBrokenStreams } from '../lib/rpc/broken-streams.js';
import { descriptors } from '../lib/rpc/descriptors.js';

const PUBLIC_PACKAGES = ['wrenn.v1', 'grpc.health.v1'];
/** The types of error details are named by no method. */
const ERROR_FILES = ['google/rpc/status.proto', 'google/rpc/error_details.proto'];
const REFLECTION_VERSIONS = ['v1', 'v1alpha'];

/** Adds the reflection services to a server. */
export function addReflection(server: Server): void {
  const files = publicFiles(descriptors().set.file);
  const reflection = new ReflectionService(
    { ...reflectionPackages(), wrenn: asPackageEntry(files) },
    { services: [...publicServices(files), ...reflectionServices()] },
  );
  reflection.addToServer({
    addService: (service, implementation) =>
      server.addService(service, surviveBrokenStreams(implementation)),
  });
}

/** The files of the public packages, and all that they import. */
function publicFiles(all: FileDescriptorProto[]): FileDescriptorProto[] {
  const byName = new Map(all.map((file) => [file.name, file]));
  const wanted = new Set<FileDescriptorProto>();
  const want = (file: FileDescriptorProto | undefined) => {
    if (!file || wanted.has(file)) return;
    wanted.add(file);
    for (const name of file.dependency) want(byName.get(name));
  };
  for (const file of all) {
    if (PUBLIC_PACKAGES.includes(file.package) || ERROR_FILES.includes(file.name)) want(file);
  }
  return [...wanted];
}

function publicServices(files: FileDescriptorProto[]): string[] {
  return files
    .filter((file) => PUBLIC_PACKAGES.includes(file.package))
    .flatMap((file) => file.service.map((service) => `${file.package}.${service.name}`));
}

function reflectionServices(): string[] {
  return REFLECTION_VERSIONS.map((version) => `grpc.reflection.${version}.ServerReflection`);
}

/** Reflection describes itself, too, by the protos that come with its package. */
function reflectionPackages(): PackageDefinition {
  const main = createRequire(import.meta.url).resolve('@grpc/reflection');
  const folder = join(dirname(main), '..', 'proto', 'grpc', 'reflection');
  const packages = REFLECTION_VERSIONS.map((version) =>
    loadSync(join(folder, version, 'reflection.proto')),
  );
  return Object.assign({}, ...packages);
}

/** @grpc/reflection reads nothing but `fileDescriptorProtos` of the entries that it is given. */
function asPackageEntry(files: FileDescriptorProto[]): PackageDefinition[string] {
  const fileDescriptorProtos = files.map((file) =>
    Buffer.from(toBinary(FileDescriptorProtoSchema, file)),
  );
  return { fileDescriptorProtos } as unknown as PackageDefinition[string];
}
