"""Greets from inside a new sandbox, by its name, and deletes it.

Needs WRENN_API_KEY and, unless it is 127.0.0.1:7071, WRENN_ADDRESS.
"""

import os

import grpc
from wrenn.v1 import process_pb2, process_pb2_grpc, sandbox_pb2, sandbox_pb2_grpc

# A first boot without KVM takes its time.
CREATE_TIMEOUT_SEC = 300
CALL_TIMEOUT_SEC = 60

PROGRAM = "import socket; print('hello from', socket.gethostname())"

address = os.environ.get("WRENN_ADDRESS", "127.0.0.1:7071")
credential = [("x-api-key", os.environ["WRENN_API_KEY"])]

with grpc.insecure_channel(address) as channel:
    sandboxes = sandbox_pb2_grpc.SandboxServiceStub(channel)
    processes = process_pb2_grpc.ProcessServiceStub(channel)

    sandbox = sandboxes.CreateSandbox(
        sandbox_pb2.CreateSandboxRequest(template="minimal"),
        metadata=credential,
        timeout=CREATE_TIMEOUT_SEC,
    )
    try:
        result = processes.Exec(
            process_pb2.ExecRequest(
                sandbox_id=sandbox.sandbox_id, cmd="python3", args=["-c", PROGRAM]
            ),
            metadata=credential,
            timeout=CALL_TIMEOUT_SEC,
        )
        print(result.stdout_text, end="")
    finally:
        sandboxes.DeleteSandbox(
            sandbox_pb2.DeleteSandboxRequest(sandbox_id=sandbox.sandbox_id),
            metadata=credential,
            timeout=CALL_TIMEOUT_SEC,
        )
