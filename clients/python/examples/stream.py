"""Talks to a program, follows another, passes a large file through, and watches a directory.

Needs WRENN_API_KEY and, unless it is 127.0.0.1:7071, WRENN_ADDRESS.
"""

import hashlib
import os

import grpc
from wrenn.v1 import (
    file_pb2,
    file_pb2_grpc,
    process_pb2,
    process_pb2_grpc,
    sandbox_pb2,
    sandbox_pb2_grpc,
)

# A first boot without KVM takes its time.
CREATE_TIMEOUT_SEC = 300
CALL_TIMEOUT_SEC = 120

FILE_BYTES = 8 * 1024 * 1024
# A message of a stream carries up to 256 KiB.
PIECE_BYTES = 128 * 1024

CONVERSATION = "read name; echo hello $name; exit 3"


def converse(processes, sandbox_id):
    """Starts a program, says something to it, and returns its answer and exit code."""

    def say():
        spec = process_pb2.ProcessSpec(cmd="sh", args=["-c", CONVERSATION])
        yield process_pb2.ExecStreamRequest(sandbox_id=sandbox_id, start=spec)
        yield process_pb2.ExecStreamRequest(stdin=b"Python\n")
        yield process_pb2.ExecStreamRequest(close_stdin=process_pb2.CloseInput())

    answer, exit_code = b"", None
    for event in processes.ExecStream(say(), metadata=credential, timeout=CALL_TIMEOUT_SEC):
        if event.HasField("stdout"):
            answer += event.stdout.data
        if event.HasField("exited"):
            exit_code = event.exited.exit_code
    return answer.decode().strip(), exit_code


def follow(processes, sandbox_id):
    """Starts a program in the background and returns its output from the seventh byte on."""
    spec = process_pb2.ProcessSpec(cmd="echo", args=["hello again"], close_stdin=True)
    started = processes.Start(
        process_pb2.StartRequest(sandbox_id=sandbox_id, process=spec),
        metadata=credential,
        timeout=CALL_TIMEOUT_SEC,
    )
    # Before it has written that much there is nothing to attach to from there.
    read_all(processes, sandbox_id, started.process_id, None)
    return read_all(processes, sandbox_id, started.process_id, 6)


def read_all(processes, sandbox_id, process_id, offset):
    """Returns the output of a program from an offset to its end."""
    request = process_pb2.AttachRequest(
        sandbox_id=sandbox_id, process_id=process_id, offset=offset
    )
    events = processes.Attach(request, metadata=credential, timeout=CALL_TIMEOUT_SEC)
    return b"".join(event.stdout.data for event in events).decode().strip()


def write_file(files, sandbox_id, path, content):
    """Writes a file of any size, piece by piece."""

    def pieces():
        yield file_pb2.StreamWriteFileRequest(sandbox_id=sandbox_id, path=path)
        for start in range(0, len(content), PIECE_BYTES):
            piece = file_pb2.StreamWriteFileRequest()
            piece.file.data = content[start : start + PIECE_BYTES]
            yield piece

    return files.StreamWriteFile(pieces(), metadata=credential, timeout=CALL_TIMEOUT_SEC)


def hash_of(files, sandbox_id, path):
    """Reads a file of any size and returns its SHA-256."""
    digest = hashlib.sha256()
    request = file_pb2.StreamReadFileRequest(sandbox_id=sandbox_id, path=path)
    for body in files.StreamReadFile(request, metadata=credential, timeout=CALL_TIMEOUT_SEC):
        digest.update(body.data)
    return digest.hexdigest()


def pass_through(files, sandbox_id):
    """Writes a large file and says whether it comes back as it was."""
    content = os.urandom(FILE_BYTES)
    written = write_file(files, sandbox_id, "/root/large/data", content)
    same = hash_of(files, sandbox_id, "/root/large/data") == hashlib.sha256(content).hexdigest()
    return f"{int(written.size_bytes)} bytes, {'the same' if same else 'others'}"


def names(files, sandbox_id, path):
    """Returns the names in a directory."""
    request = file_pb2.ListDirRequest(sandbox_id=sandbox_id, path=path)
    answer = files.ListDir(request, metadata=credential, timeout=CALL_TIMEOUT_SEC)
    return [entry.name for entry in answer.entries]


def watch(files, sandbox_id, path):
    """Makes a directory in one that it watches and returns what it is told."""
    request = file_pb2.WatchDirRequest(sandbox_id=sandbox_id, path=path)
    events = files.WatchDir(request, metadata=credential, timeout=CALL_TIMEOUT_SEC)
    if next(events).type != file_pb2.FILE_EVENT_TYPE_READY:
        raise RuntimeError("the watch has not begun")
    files.MakeDir(
        file_pb2.MakeDirRequest(sandbox_id=sandbox_id, path=f"{path}/new"),
        metadata=credential,
        timeout=CALL_TIMEOUT_SEC,
    )
    event = next(events)
    events.cancel()
    return f"{file_pb2.FileEventType.Name(event.type)} {event.path}"


address = os.environ.get("WRENN_ADDRESS", "127.0.0.1:7071")
credential = [("x-api-key", os.environ["WRENN_API_KEY"])]

with grpc.insecure_channel(address) as channel:
    sandboxes = sandbox_pb2_grpc.SandboxServiceStub(channel)
    processes = process_pb2_grpc.ProcessServiceStub(channel)
    files = file_pb2_grpc.FileServiceStub(channel)

    sandbox = sandboxes.CreateSandbox(
        sandbox_pb2.CreateSandboxRequest(template="minimal"),
        metadata=credential,
        timeout=CREATE_TIMEOUT_SEC,
    )
    try:
        answer, exit_code = converse(processes, sandbox.sandbox_id)
        print(f"in {sandbox.sandbox_id}")
        print(f"{answer}, exit code {exit_code}")
        print(follow(processes, sandbox.sandbox_id))
        print(pass_through(files, sandbox.sandbox_id))
        print("listed", *names(files, sandbox.sandbox_id, "/root/large"))
        print(watch(files, sandbox.sandbox_id, "/root/large"))
    finally:
        sandboxes.DeleteSandbox(
            sandbox_pb2.DeleteSandboxRequest(sandbox_id=sandbox.sandbox_id),
            metadata=credential,
            timeout=CALL_TIMEOUT_SEC,
        )
