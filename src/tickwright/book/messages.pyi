from typing_extensions import disjoint_base

__all__ = ["MessageSink"]

@disjoint_base
class MessageSink: ...
