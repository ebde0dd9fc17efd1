import datetime

from google.protobuf import empty_pb2 as _empty_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Signal(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIGNAL_UNSPECIFIED: _ClassVar[Signal]
    SIGNAL_HUP: _ClassVar[Signal]
    SIGNAL_INT: _ClassVar[Signal]
    SIGNAL_QUIT: _ClassVar[Signal]
    SIGNAL_KILL: _ClassVar[Signal]
    SIGNAL_USR1: _ClassVar[Signal]
    SIGNAL_USR2: _ClassVar[Signal]
    SIGNAL_TERM: _ClassVar[Signal]
    SIGNAL_CONT: _ClassVar[Signal]
    SIGNAL_STOP: _ClassVar[Signal]

class ExitReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXIT_REASON_UNSPECIFIED: _ClassVar[ExitReason]
    EXIT_REASON_EXITED: _ClassVar[ExitReason]
    EXIT_REASON_SIGNALED: _ClassVar[ExitReason]
    EXIT_REASON_TIMEOUT: _ClassVar[ExitReason]
SIGNAL_UNSPECIFIED: Signal
SIGNAL_HUP: Signal
SIGNAL_INT: Signal
SIGNAL_QUIT: Signal
SIGNAL_KILL: Signal
SIGNAL_USR1: Signal
SIGNAL_USR2: Signal
SIGNAL_TERM: Signal
SIGNAL_CONT: Signal
SIGNAL_STOP: Signal
EXIT_REASON_UNSPECIFIED: ExitReason
EXIT_REASON_EXITED: ExitReason
EXIT_REASON_SIGNALED: ExitReason
EXIT_REASON_TIMEOUT: ExitReason

class ExecRequest(_message.Message):
    __slots__ = ("sandbox_id", "cmd", "args", "timeout_sec", "env", "cwd", "user", "stdin")
    class EnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SANDBOX_ID_FIELD_NUMBER: _ClassVar[int]
    CMD_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_SEC_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    CWD_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    STDIN_FIELD_NUMBER: _ClassVar[int]
    sandbox_id: str
    cmd: str
    args: _containers.RepeatedScalarFieldContainer[str]
    timeout_sec: int
    env: _containers.ScalarMap[str, str]
    cwd: str
    user: str
    stdin: bytes
    def __init__(self, sandbox_id: _Optional[str] = ..., cmd: _Optional[str] = ..., args: _Optional[_Iterable[str]] = ..., timeout_sec: _Optional[int] = ..., env: _Optional[_Mapping[str, str]] = ..., cwd: _Optional[str] = ..., user: _Optional[str] = ..., stdin: _Optional[bytes] = ...) -> None: ...

class ExecResponse(_message.Message):
    __slots__ = ("stdout", "stderr", "stdout_text", "stderr_text", "stdout_truncated", "stderr_truncated", "exit_code", "signal", "duration_ms")
    STDOUT_FIELD_NUMBER: _ClassVar[int]
    STDERR_FIELD_NUMBER: _ClassVar[int]
    STDOUT_TEXT_FIELD_NUMBER: _ClassVar[int]
    STDERR_TEXT_FIELD_NUMBER: _ClassVar[int]
    STDOUT_TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    STDERR_TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    stdout: bytes
    stderr: bytes
    stdout_text: str
    stderr_text: str
    stdout_truncated: bool
    stderr_truncated: bool
    exit_code: int
    signal: str
    duration_ms: float
    def __init__(self, stdout: _Optional[bytes] = ..., stderr: _Optional[bytes] = ..., stdout_text: _Optional[str] = ..., stderr_text: _Optional[str] = ..., stdout_truncated: _Optional[bool] = ..., stderr_truncated: _Optional[bool] = ..., exit_code: _Optional[int] = ..., signal: _Optional[str] = ..., duration_ms: _Optional[float] = ...) -> None: ...

class ProcessSpec(_message.Message):
    __slots__ = ("cmd", "args", "env", "cwd", "user", "timeout_sec", "pty", "close_stdin")
    class EnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CMD_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    CWD_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_SEC_FIELD_NUMBER: _ClassVar[int]
    PTY_FIELD_NUMBER: _ClassVar[int]
    CLOSE_STDIN_FIELD_NUMBER: _ClassVar[int]
    cmd: str
    args: _containers.RepeatedScalarFieldContainer[str]
    env: _containers.ScalarMap[str, str]
    cwd: str
    user: str
    timeout_sec: int
    pty: TerminalSize
    close_stdin: bool
    def __init__(self, cmd: _Optional[str] = ..., args: _Optional[_Iterable[str]] = ..., env: _Optional[_Mapping[str, str]] = ..., cwd: _Optional[str] = ..., user: _Optional[str] = ..., timeout_sec: _Optional[int] = ..., pty: _Optional[_Union[TerminalSize, _Mapping]] = ..., close_stdin: _Optional[bool] = ...) -> None: ...

class TerminalSize(_message.Message):
    __slots__ = ("cols", "rows")
    COLS_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    cols: int
    rows: int
    def __init__(self, cols: _Optional[int] = ..., rows: _Optional[int] = ...) -> None: ...

class ExecStreamRequest(_message.Message):
    __slots__ = ("sandbox_id", "start", "attach", "stdin", "close_stdin", "resize", "signal")
    SANDBOX_ID_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    ATTACH_FIELD_NUMBER: _ClassVar[int]
    STDIN_FIELD_NUMBER: _ClassVar[int]
    CLOSE_STDIN_FIELD_NUMBER: _ClassVar[int]
    RESIZE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    sandbox_id: str
    start: ProcessSpec
    attach: AttachSpec
    stdin: bytes
    close_stdin: CloseInput
    resize: TerminalSize
    signal: Signal
    def __init__(self, sandbox_id: _Optional[str] = ..., start: _Optional[_Union[ProcessSpec, _Mapping]] = ..., attach: _Optional[_Union[AttachSpec, _Mapping]] = ..., stdin: _Optional[bytes] = ..., close_stdin: _Optional[_Union[CloseInput, _Mapping]] = ..., resize: _Optional[_Union[TerminalSize, _Mapping]] = ..., signal: _Optional[_Union[Signal, str]] = ...) -> None: ...

class AttachSpec(_message.Message):
    __slots__ = ("process_id", "offset")
    PROCESS_ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    process_id: str
    offset: float
    def __init__(self, process_id: _Optional[str] = ..., offset: _Optional[float] = ...) -> None: ...

class CloseInput(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ProcessEvent(_message.Message):
    __slots__ = ("started", "stdout", "stderr", "pty", "exited")
    STARTED_FIELD_NUMBER: _ClassVar[int]
    STDOUT_FIELD_NUMBER: _ClassVar[int]
    STDERR_FIELD_NUMBER: _ClassVar[int]
    PTY_FIELD_NUMBER: _ClassVar[int]
    EXITED_FIELD_NUMBER: _ClassVar[int]
    started: ProcessStarted
    stdout: ProcessOutput
    stderr: ProcessOutput
    pty: ProcessOutput
    exited: ProcessExited
    def __init__(self, started: _Optional[_Union[ProcessStarted, _Mapping]] = ..., stdout: _Optional[_Union[ProcessOutput, _Mapping]] = ..., stderr: _Optional[_Union[ProcessOutput, _Mapping]] = ..., pty: _Optional[_Union[ProcessOutput, _Mapping]] = ..., exited: _Optional[_Union[ProcessExited, _Mapping]] = ...) -> None: ...

class ProcessStarted(_message.Message):
    __slots__ = ("process_id", "pid")
    PROCESS_ID_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    process_id: str
    pid: int
    def __init__(self, process_id: _Optional[str] = ..., pid: _Optional[int] = ...) -> None: ...

class ProcessOutput(_message.Message):
    __slots__ = ("offset", "data")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    offset: float
    data: bytes
    def __init__(self, offset: _Optional[float] = ..., data: _Optional[bytes] = ...) -> None: ...

class ProcessExited(_message.Message):
    __slots__ = ("exit_code", "signal", "reason", "duration_ms")
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    exit_code: int
    signal: str
    reason: ExitReason
    duration_ms: float
    def __init__(self, exit_code: _Optional[int] = ..., signal: _Optional[str] = ..., reason: _Optional[_Union[ExitReason, str]] = ..., duration_ms: _Optional[float] = ...) -> None: ...

class StartRequest(_message.Message):
    __slots__ = ("sandbox_id", "process")
    SANDBOX_ID_FIELD_NUMBER: _ClassVar[int]
    PROCESS_FIELD_NUMBER: _ClassVar[int]
    sandbox_id: str
    process: ProcessSpec
    def __init__(self, sandbox_id: _Optional[str] = ..., process: _Optional[_Union[ProcessSpec, _Mapping]] = ...) -> None: ...

class Process(_message.Message):
    __slots__ = ("process_id", "pid", "cmd", "args", "user", "cwd", "pty", "started_at", "exited", "first_offset", "next_offset")
    PROCESS_ID_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    CMD_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    CWD_FIELD_NUMBER: _ClassVar[int]
    PTY_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    EXITED_FIELD_NUMBER: _ClassVar[int]
    FIRST_OFFSET_FIELD_NUMBER: _ClassVar[int]
    NEXT_OFFSET_FIELD_NUMBER: _ClassVar[int]
    process_id: str
    pid: int
    cmd: str
    args: _containers.RepeatedScalarFieldContainer[str]
    user: str
    cwd: str
    pty: bool
    started_at: _timestamp_pb2.Timestamp
    exited: ProcessExited
    first_offset: float
    next_offset: float
    def __init__(self, process_id: _Optional[str] = ..., pid: _Optional[int] = ..., cmd: _Optional[str] = ..., args: _Optional[_Iterable[str]] = ..., user: _Optional[str] = ..., cwd: _Optional[str] = ..., pty: _Optional[bool] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., exited: _Optional[_Union[ProcessExited, _Mapping]] = ..., first_offset: _Optional[float] = ..., next_offset: _Optional[float] = ...) -> None: ...

class AttachRequest(_message.Message):
    __slots__ = ("sandbox_id", "process_id", "offset")
    SANDBOX_ID_FIELD_NUMBER: _ClassVar[int]
    PROCESS_ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    sandbox_id: str
    process_id: str
    offset: float
    def __init__(self, sandbox_id: _Optional[str] = ..., process_id: _Optional[str] = ..., offset: _Optional[float] = ...) -> None: ...

class ListProcessesRequest(_message.Message):
    __slots__ = ("sandbox_id",)
    SANDBOX_ID_FIELD_NUMBER: _ClassVar[int]
    sandbox_id: str
    def __init__(self, sandbox_id: _Optional[str] = ...) -> None: ...

class ListProcessesResponse(_message.Message):
    __slots__ = ("processes",)
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    processes: _containers.RepeatedCompositeFieldContainer[Process]
    def __init__(self, processes: _Optional[_Iterable[_Union[Process, _Mapping]]] = ...) -> None: ...

class SendSignalRequest(_message.Message):
    __slots__ = ("sandbox_id", "process_id", "signal")
    SANDBOX_ID_FIELD_NUMBER: _ClassVar[int]
    PROCESS_ID_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    sandbox_id: str
    process_id: str
    signal: Signal
    def __init__(self, sandbox_id: _Optional[str] = ..., process_id: _Optional[str] = ..., signal: _Optional[_Union[Signal, str]] = ...) -> None: ...

class SendInputRequest(_message.Message):
    __slots__ = ("sandbox_id", "process_id", "input")
    SANDBOX_ID_FIELD_NUMBER: _ClassVar[int]
    PROCESS_ID_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    sandbox_id: str
    process_id: str
    input: bytes
    def __init__(self, sandbox_id: _Optional[str] = ..., process_id: _Optional[str] = ..., input: _Optional[bytes] = ...) -> None: ...

class CloseStdinRequest(_message.Message):
    __slots__ = ("sandbox_id", "process_id")
    SANDBOX_ID_FIELD_NUMBER: _ClassVar[int]
    PROCESS_ID_FIELD_NUMBER: _ClassVar[int]
    sandbox_id: str
    process_id: str
    def __init__(self, sandbox_id: _Optional[str] = ..., process_id: _Optional[str] = ...) -> None: ...
