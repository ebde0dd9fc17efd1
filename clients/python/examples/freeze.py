"""Pauses and resumes a sandbox, forks it, and greets from each copy.

What is written to /dev/shm is in the sandbox's memory alone. Needs
WRENN_API_KEY and, unless it is 127.0.0.1:7071, WRENN_ADDRESS.
"""

import os

import grpc
from wrenn.v1 import process_pb2, process_pb2_grpc, sandbox_pb2, sandbox_pb2_grpc

# Without KVM a first boot, and a machine's return, take their time.
MACHINE_TIMEOUT_SEC = 300
CALL_TIMEOUT_SEC = 60

COPIES = 2
NOTE = "/dev/shm/note"

address = os.environ.get("WRENN_ADDRESS", "127.0.0.1:7071")
credential = [("x-api-key", os.environ["WRENN_API_KEY"])]


def run(processes, sandbox_id, script):
    request = process_pb2.ExecRequest(sandbox_id=sandbox_id, cmd="sh", args=["-c", script])
    return processes.Exec(request, metadata=credential, timeout=CALL_TIMEOUT_SEC).stdout_text


def tour(sandboxes, processes, made):
    machine = {"metadata": credential, "timeout": MACHINE_TIMEOUT_SEC}
    request = sandbox_pb2.CreateSandboxRequest(template="minimal")
    sandbox_id = sandboxes.CreateSandbox(request, **machine).sandbox_id
    made.append(sandbox_id)
    run(processes, sandbox_id, f"echo remembered > {NOTE}")

    sandboxes.PauseSandbox(sandbox_pb2.PauseSandboxRequest(sandbox_id=sandbox_id), **machine)
    sandboxes.ResumeSandbox(sandbox_pb2.ResumeSandboxRequest(sandbox_id=sandbox_id), **machine)
    print("after the pause:", run(processes, sandbox_id, f"cat {NOTE}"), end="")

    request = sandbox_pb2.ForkSandboxRequest(sandbox_id=sandbox_id, count=COPIES)
    results = sandboxes.ForkSandbox(request, **machine).results
    made.extend(result.sandbox.sandbox_id for result in results if result.HasField("sandbox"))
    for result in results:
        if result.HasField("error"):
            raise RuntimeError(f"a copy was not started: {result.error.message}")
        script = f'echo "$(cat {NOTE}) in $(hostname)"'
        print(run(processes, result.sandbox.sandbox_id, script), end="")


with grpc.insecure_channel(address) as channel:
    sandboxes = sandbox_pb2_grpc.SandboxServiceStub(channel)
    made = []
    try:
        tour(sandboxes, process_pb2_grpc.ProcessServiceStub(channel), made)
    finally:
        for sandbox_id in made:
            sandboxes.DeleteSandbox(
                sandbox_pb2.DeleteSandboxRequest(sandbox_id=sandbox_id),
                metadata=credential,
                timeout=CALL_TIMEOUT_SEC,
            )
