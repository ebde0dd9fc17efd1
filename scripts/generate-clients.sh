#!/usr/bin/env bash
# Writes the generated parts of clients/go and clients/python from proto/. The
# generators come from the package registries, pinned, into a cache folder.
# Usage: scripts/generate-clients.sh [folder to write clients/ into]
set -euo pipefail

cd "$(dirname "$0")/.."
output_root=${1:-.}
cache=$PWD/node_modules/.cache/wrenn-clients
buf=node_modules/.bin/buf
python=$cache/venv/bin/python

if [ ! -x "$cache/gobin/protoc-gen-go-grpc" ]; then
  GOBIN=$cache/gobin go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
  GOBIN=$cache/gobin go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
fi
if ! "$python" -c 'import grpc_tools' 2>/dev/null; then
  python3 -m venv "$cache/venv"
  "$cache/venv/bin/pip" install --quiet --requirement clients/python/requirements-generate.txt
fi

"$buf" generate --template buf.gen.clients.yaml --output "$output_root"
# buf has no built-in plugin for the services of Python.
"$python" -m grpc_tools.protoc --descriptor_set_in=gen/descriptor.binpb \
  --grpc_python_out="$output_root/clients/python/src" \
  wrenn/v1/{auth,api_key,sandbox,snapshot,process,file}.proto
