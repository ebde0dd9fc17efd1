from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class AuthRequirement(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUTH_REQUIREMENT_UNSPECIFIED: _ClassVar[AuthRequirement]
    AUTH_REQUIREMENT_NONE: _ClassVar[AuthRequirement]
    AUTH_REQUIREMENT_USER: _ClassVar[AuthRequirement]
    AUTH_REQUIREMENT_API_KEY: _ClassVar[AuthRequirement]
AUTH_REQUIREMENT_UNSPECIFIED: AuthRequirement
AUTH_REQUIREMENT_NONE: AuthRequirement
AUTH_REQUIREMENT_USER: AuthRequirement
AUTH_REQUIREMENT_API_KEY: AuthRequirement
MULTIPART_FIELD_NUMBER: _ClassVar[int]
multipart: _descriptor.FieldDescriptor
