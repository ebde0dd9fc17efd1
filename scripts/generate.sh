#!/usr/bin/env bash
# Writes gen/ from proto/: the TypeScript stubs, the descriptor set that drives
# gateway, reflection and validation at run time, and the OpenAPI document, which
# is read from the descriptor set of this tree. Offline and deterministic.
# Usage: scripts/generate.sh [folder to write gen/ into]
set -euo pipefail

cd "$(dirname "$0")/.."
output_root=${1:-.}
buf=node_modules/.bin/buf

mkdir -p "$output_root/gen"
"$buf" generate --output "$output_root"
"$buf" build . --as-file-descriptor-set --output "$output_root/gen/descriptor.binpb"
node --import tsx src/openapi/main.ts "$output_root/gen/openapi.yaml"
