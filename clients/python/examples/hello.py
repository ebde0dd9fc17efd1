"""Runs a program in a new sandbox.

Needs WRENN_API_KEY and, unless it is 127.0.0.1:7071, WRENN_GRPC_ADDRESS.
"""

import os

import grpc
from wrenn.v1 import process_pb2, process_pb2_grpc, sandbox_pb2, sandbox_pb2_grpc

address = os.environ.get("WRENN_GRPC_ADDRESS", "127.0.0.1:7071")
credential = [("x-api-key", os.environ["WRENN_API_KEY"])]

with grpc.insecure_channel(address) as channel:
    sandboxes = sandbox_pb2_grpc.SandboxServiceStub(channel)
    processes = process_pb2_grpc.ProcessServiceStub(channel)

    sandbox = sandboxes.CreateSandbox(
        sandbox_pb2.CreateSandboxRequest(template="minimal"), metadata=credential, timeout=300
    )
    try:
        result = processes.Exec(
            process_pb2.ExecRequest(
                sandbox_id=sandbox.sandbox_id,
                cmd="python3",
                args=["-c", "print(sum(range(1000)))"],
            ),
            metadata=credential,
            timeout=60,
        )
        print(result.stdout_text, end="")
    finally:
        sandboxes.DeleteSandbox(
            sandbox_pb2.DeleteSandboxRequest(sandbox_id=sandbox.sandbox_id),
            metadata=credential,
            timeout=60,
        )
