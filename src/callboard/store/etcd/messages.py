"""The messages of etcd's gRPC interface that this store uses, made without generated code.

They are declared here by field number, which is all the wire knows, in a descriptor pool of their own: no clash with another package that
registers etcd's files, and no generated code that asks for one version of protobuf. Made once, when the module is loaded.
"""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_F = descriptor_pb2.FieldDescriptorProto
_SCALARS: Final = {
    "bytes": _F.TYPE_BYTES,
    "string": _F.TYPE_STRING,
    "int64": _F.TYPE_INT64,
    "uint64": _F.TYPE_UINT64,
    "bool": _F.TYPE_BOOL,
    "enum": _F.TYPE_INT32,  # the same on the wire
}
_PACKAGE: Final = "callboard.etcd"

# Message -> its fields as "number type name", `*` before the type for a list, `name@oneof` for a member of a oneof.
_DECLARED: Final[Mapping[str, str]] = {
    "ResponseHeader": "1 uint64 cluster_id, 2 uint64 member_id, 3 int64 revision, 4 uint64 raft_term",
    "KeyValue": "1 bytes key, 2 int64 create_revision, 3 int64 mod_revision, 4 int64 version, 5 bytes value, 6 int64 lease",
    "Event": "1 enum type, 2 KeyValue kv",
    "RangeRequest": "1 bytes key, 2 bytes range_end, 3 int64 limit, 4 int64 revision, 8 bool keys_only",
    "RangeResponse": "1 ResponseHeader header, 2 *KeyValue kvs, 3 bool more, 4 int64 count",
    "PutRequest": "1 bytes key, 2 bytes value, 3 int64 lease",
    "PutResponse": "1 ResponseHeader header",
    "DeleteRangeRequest": "1 bytes key, 2 bytes range_end",
    "DeleteRangeResponse": "1 ResponseHeader header, 2 int64 deleted",
    "RequestOp": "1 RangeRequest request_range@request, 2 PutRequest request_put@request,"
    " 3 DeleteRangeRequest request_delete_range@request",
    "ResponseOp": "1 RangeResponse response_range@response, 2 PutResponse response_put@response,"
    " 3 DeleteRangeResponse response_delete_range@response",
    "Compare": "1 enum result, 2 enum target, 3 bytes key, 4 int64 version@target_union, 5 int64 create_revision@target_union,"
    " 6 int64 mod_revision@target_union, 7 bytes value@target_union",
    "TxnRequest": "1 *Compare compare, 2 *RequestOp success, 3 *RequestOp failure",
    "TxnResponse": "1 ResponseHeader header, 2 bool succeeded, 3 *ResponseOp responses",
    "CompactionRequest": "1 int64 revision, 2 bool physical",
    "CompactionResponse": "1 ResponseHeader header",
    "WatchCreateRequest": "1 bytes key, 2 bytes range_end, 3 int64 start_revision, 4 bool progress_notify, 8 bool fragment",
    "WatchProgressRequest": "",
    "WatchRequest": "1 WatchCreateRequest create_request@request, 3 WatchProgressRequest progress_request@request",
    "WatchResponse": "1 ResponseHeader header, 2 int64 watch_id, 3 bool created, 4 bool canceled, 5 int64 compact_revision,"
    " 6 string cancel_reason, 7 bool fragment, 11 *Event events",
    "LeaseGrantRequest": "1 int64 TTL, 2 int64 ID",
    "LeaseGrantResponse": "1 ResponseHeader header, 2 int64 ID, 3 int64 TTL, 4 string error",
    "LeaseRevokeRequest": "1 int64 ID",
    "LeaseRevokeResponse": "1 ResponseHeader header",
    "LeaseKeepAliveRequest": "1 int64 ID",
    "LeaseKeepAliveResponse": "1 ResponseHeader header, 2 int64 ID, 3 int64 TTL",
    "StatusRequest": "",
    "StatusResponse": "1 ResponseHeader header, 2 string version, 3 int64 dbSize, 4 uint64 leader, 8 *string errors, 9 int64 dbSizeInUse,"
    " 13 int64 dbSizeQuota",
    "AuthenticateRequest": "1 string name, 2 string password",
    "AuthenticateResponse": "1 ResponseHeader header, 2 string token",
}


def _fill(message: descriptor_pb2.DescriptorProto, declared: str) -> None:
    """Declare the fields of one message."""
    oneofs: dict[str, int] = {}
    for text in declared.split(",") if declared else ():
        number, kind, name = text.split()
        name, _, oneof = name.partition("@")
        label = _F.LABEL_REPEATED if kind.startswith("*") else _F.LABEL_OPTIONAL
        field = message.field.add(name=name, number=int(number), label=label)
        kind = kind.removeprefix("*")
        if kind in _SCALARS:
            field.type = _SCALARS[kind]
        else:
            field.type, field.type_name = _F.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
        if oneof:
            if oneof not in oneofs:
                oneofs[oneof] = len(message.oneof_decl)
                message.oneof_decl.add(name=oneof)
            field.oneof_index = oneofs[oneof]


def _build() -> Mapping[str, Any]:
    """The message classes, by name."""
    file = descriptor_pb2.FileDescriptorProto(name="callboard/etcd.proto", package=_PACKAGE, syntax="proto3")
    for name, declared in _DECLARED.items():
        _fill(file.message_type.add(name=name), declared)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _DECLARED}


MESSAGES: Final = _build()
"""Message classes by etcd's names."""
